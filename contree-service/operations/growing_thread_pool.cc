#include "contree-service/operations/growing_thread_pool.h"

#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace contree {

GrowingThreadPool::~GrowingThreadPool() {
  absl::MutexLock lock(&mutex_);
  ends_ = true;
  changed_.SignalAll();
  while (threads_ > 0) changed_.Wait(&mutex_);
}

absl::Status GrowingThreadPool::Run(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (tasks_.size() < idle_) {
    tasks_.push_back(std::move(task));
    changed_.SignalAll();
    return absl::OkStatus();
  }
  if (threads_ >= max_threads_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("all ", max_threads_, " threads for following operations are busy"));
  }
  try {
    std::thread([this] { Work(); }).detach();  // the destructor waits by threads_
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("the system gives no thread beyond ", threads_,
                                                     " (", error.what(), "); raise its limit"));
  }
  ++threads_;
  tasks_.push_back(std::move(task));
  return absl::OkStatus();
}

void GrowingThreadPool::Work() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    ++idle_;
    const absl::Time until = absl::Now() + max_idle_;
    while (tasks_.empty() && !ends_) {
      if (changed_.WaitWithDeadline(&mutex_, until)) break;
    }
    --idle_;
    if (tasks_.empty()) break;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    mutex_.Unlock();
    task();
    mutex_.Lock();
  }
  --threads_;
  changed_.SignalAll();
}

}  // namespace contree
