#include "gateway/transport/event_queue.h"

#include <utility>

namespace contree::gateway {

void EventQueue::Push(std::string event) {
  absl::MutexLock lock(&mutex_);
  events_.push_back(std::move(event));
}

void EventQueue::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

EventQueue::Taken EventQueue::Take(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(this, &EventQueue::IsReady), timeout);
  return {std::exchange(events_, {}), closed_};
}

}  // namespace contree::gateway
