#include "gateway/transport/line_io.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace contree::gateway {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
// What one huge line needed is given back.
constexpr size_t kKeptBytes = 1024 * 1024;

absl::Status ErrnoError(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<LineReader> LineReader::Create(int fd, size_t max_line_bytes) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_open()) return ErrnoError("eventfd");
  return LineReader(fd, max_line_bytes, std::move(wake));
}

LineReader::LineReader(int fd, size_t max_line_bytes, UniqueFd wake)
    : fd_(fd), max_line_bytes_(max_line_bytes), wake_(std::move(wake)) {}

absl::StatusOr<bool> LineReader::Fill(const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] {
    const uint64_t one = 1;
    // It can only fail where the counter is full, and then the reader is woken anyway.
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
  });
  while (true) {
    if (stop.stop_requested()) return false;
    std::array<pollfd, 2> waits = {pollfd{fd_, POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    if (poll(waits.data(), waits.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return ErrnoError("waiting for input");
    }
    if (waits[0].revents == 0) continue;
    const size_t old_size = buffer_.size();
    buffer_.resize(old_size + kReadBytes);
    const ssize_t count = read(fd_, buffer_.data() + old_size, kReadBytes);
    const int error = errno;
    buffer_.resize(old_size + (count > 0 ? static_cast<size_t>(count) : 0));
    if (count > 0) return true;
    if (count == 0) return false;
    if (error == EINTR || error == EAGAIN) continue;
    errno = error;
    return ErrnoError("reading input");
  }
}

absl::StatusOr<std::optional<absl::string_view>> LineReader::Next(const std::stop_token& stop) {
  while (true) {
    const void* found = std::memchr(buffer_.data() + scanned_, '\n', buffer_.size() - scanned_);
    if (found != nullptr || (ended_ && begin_ < buffer_.size())) {
      const size_t end = found != nullptr
                             ? static_cast<size_t>(static_cast<const char*>(found) - buffer_.data())
                             : buffer_.size();
      absl::string_view line(buffer_.data() + begin_, end - begin_);
      begin_ = scanned_ = found != nullptr ? end + 1 : end;
      if (std::exchange(skipping_, false)) continue;  // the rest of a line that was refused
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (line.size() > max_line_bytes_) {
        return absl::ResourceExhaustedError(
            absl::StrCat("a line is longer than ", max_line_bytes_, " bytes"));
      }
      return line;
    }
    if (ended_) return std::nullopt;
    buffer_.erase(0, begin_);
    if (buffer_.empty() && buffer_.capacity() > kKeptBytes) std::string().swap(buffer_);
    begin_ = 0;
    scanned_ = buffer_.size();
    // One more than a line for its "\r".
    if (buffer_.size() > max_line_bytes_ + 1) {
      std::string().swap(buffer_);
      scanned_ = 0;
      if (!std::exchange(skipping_, true)) {
        return absl::ResourceExhaustedError(
            absl::StrCat("a line is longer than ", max_line_bytes_, " bytes"));
      }
    }
    ASSIGN_OR_RETURN(const bool more, Fill(stop));
    if (!more) {
      ended_ = true;
      // What a stop cuts in the middle is no message.
      if (stop.stop_requested()) return std::nullopt;
    }
  }
}

bool LineReader::HasLine() const {
  return scanned_ < buffer_.size() &&
         std::memchr(buffer_.data() + scanned_, '\n', buffer_.size() - scanned_) != nullptr;
}

absl::Status LineWriter::Write(std::string line) {
  line.push_back('\n');
  return WriteLines(line);
}

absl::Status LineWriter::WriteLines(absl::string_view line) {
  absl::MutexLock lock(&mutex_);
  size_t written = 0;
  while (status_.ok() && written < line.size()) {
    const ssize_t count = write(fd_, line.data() + written, line.size() - written);
    if (count >= 0) {
      written += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      pollfd wait{fd_, POLLOUT, 0};
      poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      status_ = ErrnoError("writing output");
    }
  }
  return status_;
}

}  // namespace contree::gateway
