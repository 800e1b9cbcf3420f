#ifndef COMMON_THREADS_GROWING_THREAD_POOL_H_
#define COMMON_THREADS_GROWING_THREAD_POOL_H_

// Threads for work that mostly waits: every task begins at once, on an idle thread or on a new one,
// up to a bound.

#include <cstddef>
#include <deque>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace contree {

// Thread-safe.
class GrowingThreadPool {
 public:
  explicit GrowingThreadPool(size_t max_threads, absl::Duration max_idle = absl::Seconds(10))
      : max_threads_(max_threads), max_idle_(max_idle) {}
  ~GrowingThreadPool();  // waits for every task
  GrowingThreadPool(const GrowingThreadPool&) = delete;
  GrowingThreadPool& operator=(const GrowingThreadPool&) = delete;

  // ResourceExhausted: max_threads are busy, or the system gives no more.
  absl::Status Run(std::function<void()> task);

  // The same, but where all are busy, the task begins as soon as one is free. ResourceExhausted:
  // there is no thread at all and the system gives none.
  absl::Status RunOrQueue(std::function<void()> task);

 private:
  // A new thread. ResourceExhausted: the system gives none.
  absl::Status AddThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Work();

  const size_t max_threads_;
  const absl::Duration max_idle_;
  absl::Mutex mutex_;
  absl::CondVar has_task_;
  absl::CondVar has_ended_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  size_t threads_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace contree

#endif  // COMMON_THREADS_GROWING_THREAD_POOL_H_
