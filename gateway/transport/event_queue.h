#ifndef GATEWAY_TRANSPORT_EVENT_QUEUE_H_
#define GATEWAY_TRANSPORT_EVENT_QUEUE_H_

#include <deque>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace contree::gateway {

// Events on their way to an HTTP answer that stays open. Thread-safe.
class EventQueue {
 public:
  void Push(std::string event);
  void Close();

  struct Taken {
    std::deque<std::string> events;
    bool is_closed = false;  // and nothing follows these
  };
  // Waits until there is something to take, `timeout` at most.
  Taken Take(absl::Duration timeout);

 private:
  bool IsReady() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return closed_ || !events_.empty(); }

  absl::Mutex mutex_;
  std::deque<std::string> events_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_EVENT_QUEUE_H_
