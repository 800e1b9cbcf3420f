#ifndef COMMON_TIME_TIMER_QUEUE_H_
#define COMMON_TIME_TIMER_QUEUE_H_

// Callbacks at points in time, on one thread of its own: what ends an exchange whose time is up.
// Made for timers that are nearly always cancelled before they fire: adding and cancelling one
// costs about a microsecond and wakes nobody unless the thread would sleep past the new timer. It
// may wake for one that was cancelled: many that come and go then cost it one wake in all.

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace contree {

// Thread-safe.
class TimerQueue {
 public:
  using Id = std::pair<absl::Time, uint64_t>;

  TimerQueue();
  ~TimerQueue();  // forgets what has not fired
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // Runs `callback` once at `time` (at once where it has passed). It must not block and may Add,
  // but not Cancel.
  Id Add(absl::Time time, std::function<void()> callback);

  // The callback does not run after this returns; waits for it where it is just running. False: it
  // has run.
  bool Cancel(const Id& id);

 private:
  void Run();

  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::map<Id, std::function<void()>> timers_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  // Until when the thread sleeps, if it does.
  absl::Time wakes_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  uint64_t running_ ABSL_GUARDED_BY(mutex_) =
      0;  // the number of the timer whose callback runs; 0: none
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace contree

#endif  // COMMON_TIME_TIMER_QUEUE_H_
