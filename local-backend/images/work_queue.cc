#include "local-backend/images/work_queue.h"

#include <utility>

namespace contree {

WorkQueue::WorkQueue() : thread_([this] { Loop(); }) {}

WorkQueue::~WorkQueue() {
  {
    const absl::MutexLock lock(&mutex_);
    ends_ = true;
  }
  thread_.join();
}

void WorkQueue::Add(std::function<void()> work) {
  const absl::MutexLock lock(&mutex_);
  work_.push_back(std::move(work));
}

void WorkQueue::Drain() {
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &WorkQueue::IsIdle));
}

void WorkQueue::Loop() {
  while (true) {
    std::function<void()> work;
    {
      const absl::MutexLock lock(&mutex_);
      busy_ = false;
      mutex_.Await(absl::Condition(this, &WorkQueue::HasNews));
      if (work_.empty()) return;
      work = std::move(work_.front());
      work_.pop_front();
      busy_ = true;
    }
    work();
  }
}

}  // namespace contree
