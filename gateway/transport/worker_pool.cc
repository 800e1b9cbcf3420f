#include "gateway/transport/worker_pool.h"

#include <system_error>
#include <utility>

#include "absl/time/clock.h"
#include "common/telemetry/logging.h"

namespace contree::gateway {
namespace {

// An idle thread costs little; starting one costs some 50 µs.
constexpr absl::Duration kKeepIdle = absl::Seconds(10);

}  // namespace

WorkerPool::WorkerPool(int max_threads) : max_threads_(static_cast<size_t>(max_threads)) {}

WorkerPool::~WorkerPool() {
  Threads threads;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    mutex_.Await(absl::Condition(
        +[](Threads* running) { return running->empty(); }, &running_));
    threads.swap(ended_);
  }
  for (std::thread& thread : threads) thread.join();
}

bool WorkerPool::TryRun(absl::AnyInvocable<void()>& task) {
  Threads ended;
  {
    absl::MutexLock lock(&mutex_);
    ended.swap(ended_);
    if (tasks_.size() >= idle_) {
      if (running_.size() >= max_threads_) return false;
      const auto self = running_.emplace(running_.end());
      try {
        *self = std::thread([this, self] { Work(self); });
      } catch (const std::system_error& error) {
        running_.erase(self);
        LogWarning("no thread for another call", {{"error", error.what()}});
        return false;
      }
      ++idle_;  // it is about to be
    }
    tasks_.push_back(std::move(task));
  }
  for (std::thread& thread : ended) thread.join();
  return true;
}

bool WorkerPool::WaitUntilIdle(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(absl::Condition(this, &WorkerPool::IsIdle), deadline);
}

void WorkerPool::Work(Threads::iterator self) {
  while (true) {
    absl::AnyInvocable<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &WorkerPool::HasWork), kKeepIdle);
      --idle_;
      if (tasks_.empty()) {
        ended_.splice(ended_.end(), running_, self);
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
    task = nullptr;  // what it owns goes before the thread counts as idle
    absl::MutexLock lock(&mutex_);
    ++idle_;
  }
}

}  // namespace contree::gateway
