#include "common/server/listen_address.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/files/unique_fd.h"

namespace contree {

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  const absl::Status error = absl::InvalidArgumentError(absl::StrCat(
      "'", text,
      "' is no address to listen on: write HOST:PORT, such as 127.0.0.1:0 (0: a free port)"));
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return error;
  absl::string_view host = text.substr(0, colon);
  ListenAddress address;
  if (!absl::SimpleAtoi(text.substr(colon + 1), &address.port) || address.port < 0 ||
      address.port > 65535)
    return error;
  if (host.front() == '[') {
    if (host.back() != ']' || host.size() < 3) return error;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != absl::string_view::npos) {
    return error;
  }
  address.host = std::string(host);
  return address;
}

absl::StatusOr<std::optional<std::string>> ParseUnixAddress(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, kUnixScheme)) return std::nullopt;
  constexpr size_t kMaxPathBytes = sizeof(sockaddr_un::sun_path) - 1;
  if (text.empty() || text.front() != '/' || text.size() > kMaxPathBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no path of a socket: write unix:/absolute/path, at most ",
                     kMaxPathBytes, " bytes"));
  }
  return std::string(text);
}

absl::Status ClearSocketPath(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  struct stat info = {};
  if (stat(directory.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return absl::NotFoundError(absl::StrCat("cannot listen on ", path, ": there is no directory ",
                                            directory, "; make it"));
  }
  if (lstat(path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", path, ": it is there and no socket"));
  }
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
      errno == EAGAIN) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", path, ": another program does"));
  }
  if (unlink(path.c_str()) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("unlink ", path));
  return absl::OkStatus();
}

bool IsLoopback(absl::string_view host) {
  const std::string text(host);
  in_addr v4;
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return text == "localhost";
}

absl::Status RequireLoopback(absl::string_view host) {
  if (IsLoopback(host)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      "refusing to listen on ", host,
      ": without authentication anybody who reaches it could run commands; listen on 127.0.0.1"));
}

std::string FormatAddress(absl::string_view host, int port) {
  const bool v6 = host.find(':') != absl::string_view::npos;
  return absl::StrCat(v6 ? "[" : "", host, v6 ? "]" : "", ":", port);
}

}  // namespace contree
