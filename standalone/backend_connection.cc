#include "standalone/backend_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"

namespace contree::standalone {
namespace {

// The backend answers a client in no time; this only bounds a hang.
constexpr absl::Duration kJoinTimeout = absl::Seconds(5);
constexpr size_t kMaxLineBytes = 16 * 1024;

}  // namespace

absl::StatusOr<std::string> ReadBackendLine(int fd, int wake, absl::Time deadline) {
  std::string line;
  while (line.size() < kMaxLineBytes) {
    pollfd entries[] = {{.fd = fd, .events = POLLIN, .revents = 0},
                        {.fd = wake, .events = POLLIN, .revents = 0}};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return absl::DeadlineExceededError("the local backend said nothing in time");
    const int ready = poll(entries, 2, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (ready <= 0) continue;
    if (entries[1].revents != 0) return absl::CancelledError("this program ends");
    char c;
    const ssize_t got = read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, "reading from the local backend");
    if (got == 0 || c == '\n') return line;
    line.push_back(c);
  }
  return absl::InternalError("the local backend's line has no end");
}

absl::StatusOr<BackendConnection> ConnectToBackend(const std::string& state_dir, int wake) {
  const std::string directory = absl::StrCat(state_dir, "/local-backend");
  const UniqueFd directory_fd(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory_fd.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", directory));
  UniqueFd connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection.is_open()) return absl::ErrnoToStatus(errno, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Through the directory's descriptor: the path of a socket may have 107 bytes, that of a state
  // directory more.
  const std::string path = absl::StrCat("/proc/self/fd/", directory_fd.get(), "/control.sock");
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ECONNREFUSED) return absl::UnavailableError("no local backend listens");
    return absl::ErrnoToStatus(errno,
                               absl::StrCat("cannot connect to ", directory, "/control.sock"));
  }
  ASSIGN_OR_RETURN(const std::string line,
                   ReadBackendLine(connection.get(), wake, absl::Now() + kJoinTimeout));
  if (line.empty()) return absl::UnavailableError("the local backend is ending");
  const nlohmann::json greeting = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!greeting.is_object() || !greeting.contains("url") || !greeting["url"].is_string() ||
      !greeting.contains("token") || !greeting["token"].is_string()) {
    return absl::InternalError(
        "the local backend's greeting has no url and token; is it of another version?");
  }
  return BackendConnection{.endpoint = {.base_url = greeting["url"].get<std::string>(),
                                        .token = greeting["token"].get<std::string>(),
                                        .project = "",
                                        // The port changes from start to start, the images stay.
                                        .platform = kEmbeddedPlatform},
                           .pid = greeting.value("pid", 0),
                           // Backends that say nothing of it knew one only.
                           .isolation = greeting.value("isolation", "namespaces"),
                           .lifeline = std::move(connection)};
}

}  // namespace contree::standalone
