#include "local-backend/sandbox/stdin_feed.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace contree {
namespace {

// What a process may leave unread before more is refused.
constexpr size_t kMaxUnread = 16 * 1024 * 1024;

}  // namespace

StdinFeed::StdinFeed(std::string bytes, bool stays_open)
    : bytes_(std::move(bytes)), ends_(!stays_open) {}

absl::Status StdinFeed::Add(absl::string_view bytes, bool and_end) {
  const absl::MutexLock lock(&mutex_);
  if (ends_) return absl::FailedPreconditionError("is closed");
  const size_t unread = bytes_.size() - written_;
  if (unread > 0 && unread + bytes.size() > kMaxUnread) {
    return absl::ResourceExhaustedError(absl::StrCat("still holds ", unread, " bytes yet to read"));
  }
  bytes_.erase(0, written_);
  written_ = 0;
  absl::StrAppend(&bytes_, bytes);
  ends_ = and_end;
  return absl::OkStatus();
}

StdinFeed::Progress StdinFeed::WriteTo(int pipe) {
  const absl::MutexLock lock(&mutex_);
  while (written_ < bytes_.size()) {
    const ssize_t written = write(pipe, bytes_.data() + written_, bytes_.size() - written_);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return Progress::kWaits;
    if (written < 0) {
      ends_ = true;
      break;
    }
    written_ += static_cast<size_t>(written);
  }
  bytes_ = std::string();
  written_ = 0;
  return ends_ ? Progress::kEnded : Progress::kIdle;
}

void StdinFeed::End() {
  const absl::MutexLock lock(&mutex_);
  ends_ = true;
  bytes_ = std::string();
  written_ = 0;
}

}  // namespace contree
