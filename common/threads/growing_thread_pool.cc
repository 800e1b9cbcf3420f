#include "common/threads/growing_thread_pool.h"

#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace contree {

GrowingThreadPool::~GrowingThreadPool() {
  absl::MutexLock lock(&mutex_);
  ends_ = true;
  has_task_.SignalAll();
  while (threads_ > 0) has_ended_.Wait(&mutex_);
}

absl::Status GrowingThreadPool::Run(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (tasks_.size() >= idle_) {
    if (threads_ >= max_threads_)
      return absl::ResourceExhaustedError(absl::StrCat("all ", max_threads_, " threads are busy"));
    if (absl::Status added = AddThread(); !added.ok()) return added;
  }
  tasks_.push_back(std::move(task));
  has_task_.Signal();
  return absl::OkStatus();
}

absl::Status GrowingThreadPool::RunOrQueue(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (tasks_.size() >= idle_ && threads_ < max_threads_) {
    absl::Status added = AddThread();
    if (!added.ok() && threads_ == 0) return added;
  }
  tasks_.push_back(std::move(task));
  has_task_.Signal();
  return absl::OkStatus();
}

absl::Status GrowingThreadPool::AddThread() {
  try {
    std::thread([this] { Work(); }).detach();  // the destructor waits by threads_
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("the system gives no thread beyond ", threads_,
                                                     " (", error.what(), "); raise its limit"));
  }
  ++threads_;
  // It counts as idle from now on, so that the next task gets a thread of its own.
  ++idle_;
  return absl::OkStatus();
}

void GrowingThreadPool::Work() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    const absl::Time until = absl::Now() + max_idle_;
    while (tasks_.empty() && !ends_) {
      if (has_task_.WaitWithDeadline(&mutex_, until)) break;
    }
    --idle_;
    if (tasks_.empty()) break;
    {
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      mutex_.Unlock();
      task();
      // Here, not under the lock: what a task holds may do anything when it goes.
    }
    mutex_.Lock();
    ++idle_;
  }
  --threads_;
  has_ended_.SignalAll();
}

}  // namespace contree
