#ifndef GATEWAY_TRANSPORT_WORKER_POOL_H_
#define GATEWAY_TRANSPORT_WORKER_POOL_H_

// Threads for calls that block: as many as there are calls, up to a bound. Tasks never wait behind
// each other, so a call that takes an hour delays nobody.

#include <deque>
#include <list>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace contree::gateway {

// Thread-safe.
class WorkerPool {
 public:
  explicit WorkerPool(int max_threads);
  ~WorkerPool();  // waits for what runs
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Starts the task at once. False: every thread is busy; the task was not taken.
  [[nodiscard]] bool TryRun(absl::AnyInvocable<void()>& task);

  // Waits until nothing runs. False: at `deadline` something still did.
  bool WaitUntilIdle(absl::Time deadline);

 private:
  using Threads = std::list<std::thread>;

  void Work(Threads::iterator self);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !tasks_.empty() || stopping_;
  }
  bool IsIdle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return tasks_.empty() && idle_ == running_.size();
  }

  const size_t max_threads_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mutex_);  // never more than idle_
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  Threads running_ ABSL_GUARDED_BY(mutex_);
  Threads ended_ ABSL_GUARDED_BY(mutex_);  // to be joined
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_WORKER_POOL_H_
