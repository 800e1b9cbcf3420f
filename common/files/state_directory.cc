#include "common/files/state_directory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

absl::Status WriteAll(int fd, absl::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, absl::StrCat("write ", path));
    }
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

std::string DefaultStateDirectory() {
  if (const char* state = getenv("XDG_STATE_HOME"); state != nullptr && state[0] == '/') {
    return absl::StrCat(state, "/contree-mcp");
  }
  if (const char* home = getenv("HOME"); home != nullptr && home[0] == '/') {
    return absl::StrCat(home, "/.local/state/contree-mcp");
  }
  return "/var/lib/contree-mcp";
}

absl::StatusOr<std::string> MakePrivateDirectory(absl::string_view path) {
  if (path.empty()) return absl::InvalidArgumentError("the path of a directory is empty");
  std::error_code error;
  const std::filesystem::path absolute =
      std::filesystem::absolute(std::string(path), error).lexically_normal();
  if (error) return absl::ErrnoToStatus(error.value(), absl::StrCat("absolute path of ", path));
  std::filesystem::path made;
  for (const auto& part : absolute) {
    if (part.empty()) continue;
    made /= part;
    if (mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", made.string()));
    }
  }
  struct stat info;
  if (stat(made.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", made.string()));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(made.string(), " is in the way: it is not a directory"));
  }
  if ((info.st_mode & 0077) != 0 && chmod(made.c_str(), 0700) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("cannot make ", made.string(), " private (chmod 0700)"));
  }
  return made.string();
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("open ", path));
  std::string content;
  char buffer[16384];
  while (true) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return absl::ErrnoToStatus(errno, absl::StrCat("read ", path));
    }
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " is larger than ", max_bytes, " bytes"));
    }
    content.append(buffer, static_cast<size_t>(got));
  }
}

absl::Status WritePrivateFile(const std::string& path, absl::string_view content) {
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  const UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));  // 0600
  if (!fd.is_open())
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make a file beside ", path));
  absl::Status status = WriteAll(fd.get(), content, temporary);
  if (status.ok() && fsync(fd.get()) != 0)
    status = absl::ErrnoToStatus(errno, absl::StrCat("fsync ", temporary));
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, absl::StrCat("rename ", temporary, " to ", path));
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace contree
