#ifndef LOCAL_BACKEND_IMAGES_WORK_QUEUE_H_
#define LOCAL_BACKEND_IMAGES_WORK_QUEUE_H_

// One thread that does what it is given, in turn. Thread-safe.

#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace contree {

class WorkQueue {
 public:
  WorkQueue();
  ~WorkQueue();  // does what it was given to the end

  void Add(std::function<void()> work);
  // Waits until everything that was added before has been done. Not from within the work.
  void Drain();

 private:
  void Loop();
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ends_ || !work_.empty(); }
  bool IsIdle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !busy_ && work_.empty(); }

  absl::Mutex mutex_;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_WORK_QUEUE_H_
