#ifndef LOCAL_BACKEND_OPERATIONS_WORKER_POOL_H_
#define LOCAL_BACKEND_OPERATIONS_WORKER_POOL_H_

// A bounded number of threads for work that blocks. They are made when work finds none idle, and
// live as long as the pool: sandboxes die with the thread that started them. Thread-safe.

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace contree {

class WorkerPool {
 public:
  explicit WorkerPool(int max_threads) : max_threads_(max_threads) {}
  ~WorkerPool();  // does what was added, then ends

  // Tasks begin in the order in which they were added. Not while the destructor runs, except from a
  // task.
  void Add(std::function<void()> task);

 private:
  void Work();

  const int max_threads_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_WORKER_POOL_H_
