#ifndef LOCAL_BACKEND_SANDBOX_CANCEL_EVENT_H_
#define LOCAL_BACKEND_SANDBOX_CANCEL_EVENT_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "common/files/unique_fd.h"

namespace contree {

// Asks a running sandbox to end, from any thread; its descriptor becomes readable and stays so.
// Thread-safe.
class CancelEvent {
 public:
  CancelEvent() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  void Cancel() {
    if (cancelled_.exchange(true)) return;
    const uint64_t one = 1;
    // Cannot fail: the counter is 0.
    [[maybe_unused]] const ssize_t written = write(fd_.get(), &one, sizeof one);
  }
  bool IsCancelled() const { return cancelled_; }
  int fd() const { return fd_.get(); }

 private:
  const UniqueFd fd_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_CANCEL_EVENT_H_
