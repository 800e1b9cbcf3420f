#include "common/time/timer_queue.h"

#include "absl/time/clock.h"

namespace contree {

TimerQueue::TimerQueue() : thread_([this] { Run(); }) {}

TimerQueue::~TimerQueue() {
  {
    absl::MutexLock lock(&mutex_);
    ends_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

TimerQueue::Id TimerQueue::Add(absl::Time time, std::function<void()> callback) {
  absl::MutexLock lock(&mutex_);
  const Id id(time, next_++);
  timers_.emplace(id, std::move(callback));
  if (time < wakes_at_) {
    wakes_at_ = time;
    changed_.SignalAll();
  }
  return id;
}

bool TimerQueue::Cancel(const Id& id) {
  absl::MutexLock lock(&mutex_);
  if (timers_.erase(id) > 0) return true;
  while (running_ == id.second) changed_.Wait(&mutex_);
  return false;
}

void TimerQueue::Run() {
  absl::MutexLock lock(&mutex_);
  while (!ends_) {
    const auto first = timers_.begin();
    if (first == timers_.end() || first->first.first > absl::Now()) {
      wakes_at_ = first == timers_.end() ? absl::InfiniteFuture() : first->first.first;
      changed_.WaitWithDeadline(&mutex_, wakes_at_);
      continue;
    }
    const std::function<void()> callback = std::move(first->second);
    running_ = first->first.second;
    timers_.erase(first);
    mutex_.Unlock();
    callback();
    mutex_.Lock();
    running_ = 0;
    changed_.SignalAll();
  }
}

}  // namespace contree
