#ifndef LOCAL_BACKEND_SANDBOX_EVENT_LOOP_H_
#define LOCAL_BACKEND_SANDBOX_EVENT_LOOP_H_

// One thread that waits for many descriptors and points in time, and calls back. No callback may
// block: all that the loop watches waits for it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"

namespace contree {

class EventLoop {
 public:
  // ResourceExhausted and others: the system gives no descriptors.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Start();
  // Ends the thread; what was posted and did not run is forgotten. Not from a callback.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs `task` on the loop's thread, in the order of the calls. Thread-safe.
  void Post(std::function<void()> task);

  // All below: on the loop's thread only.

  using WatchId = uint64_t;
  // Calls back as long as one of `events` (EPOLLIN, EPOLLOUT; EPOLLHUP and EPOLLERR always) holds
  // for the descriptor, which stays open until Unwatch. ResourceExhausted: the kernel watches no
  // more.
  absl::StatusOr<WatchId> Watch(int fd, uint32_t events, std::function<void()> callback);
  // Afterwards it is not called again.
  void Unwatch(WatchId id);

  using TimerId = std::pair<absl::Time, uint64_t>;
  TimerId CallAt(absl::Time time, std::function<void()> callback);
  // No effect where it has been called.
  void CancelTimer(const TimerId& id);

 private:
  struct Watched {
    int fd;
    std::function<void()> callback;
  };

  EventLoop(UniqueFd epoll, UniqueFd wake);
  void Run();
  void RunPosted();
  int MillisecondsToNextTimer();

  const UniqueFd epoll_;
  const UniqueFd wake_;
  absl::Mutex mutex_;
  std::vector<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the loop's thread.
  uint64_t last_id_ = 0;
  std::unordered_map<WatchId, std::shared_ptr<Watched>> watched_;
  std::map<TimerId, std::function<void()>> timers_;
  std::thread thread_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_EVENT_LOOP_H_
