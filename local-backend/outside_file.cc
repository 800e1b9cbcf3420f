#include "local-backend/outside_file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

// Files on volumes of a cluster do not tell of their changes (they are links that are exchanged),
// so they are looked at.
constexpr int kLookIntervalMs = 500;

bool WriteWhole(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

bool ReadWhole(int fd, void* into, size_t size) {
  size_t got = 0;
  while (got < size) {
    const ssize_t n = read(fd, static_cast<char*>(into) + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    got += static_cast<size_t>(n);
  }
  return true;
}

[[noreturn]] void Look(const std::string& path, size_t max_bytes, std::string content, int pipe) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "outside-file");
  // Not the locks and sockets of the backend.
  if (pipe != 3) dup2(pipe, 3);
  syscall(SYS_close_range, 4U, ~0U, 0U);
  while (true) {
    pollfd reader = {.fd = 3, .events = 0, .revents = 0};
    poll(&reader, 1, kLookIntervalMs);
    if (reader.revents != 0) _exit(0);  // nobody reads any more
    // Small, and read whole: times can lie. What cannot be read now may be being replaced.
    auto now = ReadFile(path, max_bytes);
    if (!now.ok() || *now == content) continue;
    content = *std::move(now);
    const uint64_t size = content.size();
    if (!WriteWhole(3, absl::string_view(reinterpret_cast<const char*>(&size), sizeof size)) ||
        !WriteWhole(3, content)) {
      _exit(0);
    }
  }
}

}  // namespace

absl::StatusOr<OutsideFile> OutsideFile::Open(const std::string& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, max_bytes));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  UniqueFd read_end(ends[0]);
  const UniqueFd write_end(ends[1]);
  const pid_t child = fork();
  if (child < 0) return absl::ErrnoToStatus(errno, "fork");
  if (child == 0) Look(path, max_bytes, std::move(content), write_end.get());
  return OutsideFile(std::move(content), max_bytes, std::move(read_end));
}

absl::StatusOr<std::string> OutsideFile::Next(int stop_fd) {
  pollfd entries[2] = {{.fd = pipe_.get(), .events = POLLIN, .revents = 0},
                       {.fd = stop_fd, .events = POLLIN, .revents = 0}};
  while (poll(entries, 2, -1) < 0) {
  }
  if (entries[1].revents != 0) return absl::AbortedError("stopped");
  uint64_t size = 0;
  if (!ReadWhole(pipe_.get(), &size, sizeof size) || size > max_bytes_) {
    return absl::AbortedError("the process that looks at the file has ended");
  }
  std::string content(size, '\0');
  if (!ReadWhole(pipe_.get(), content.data(), size)) {
    return absl::AbortedError("the process that looks at the file has ended");
  }
  return content;
}

}  // namespace contree
