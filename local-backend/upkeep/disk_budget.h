#ifndef LOCAL_BACKEND_UPKEEP_DISK_BUDGET_H_
#define LOCAL_BACKEND_UPKEEP_DISK_BUDGET_H_

// Sees that the state directory stays within its quota and that the disk keeps a reserve: before
// something begins to write, and while it does. Thread-safe.
//
// The free space of the disk is asked for all the time, which costs nothing. What the directory
// takes is measured by looking at every file, so it is done seldom: between two measurements it is
// taken to have grown by what the disk lost.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace contree {

class DiskBudget {
 public:
  struct Options {
    std::string directory;  // all in it counts
    int64_t quota = 0;      // bytes; 0: no bound
    int64_t reserve = 0;    // bytes that stay free on its disk; 0: none
  };
  explicit DiskBudget(const Options& options);
  ~DiskBudget();  // after the last Watch

  // What to try before anything is refused or stopped, at most once in ten seconds: it should
  // remove what is not needed. Called with no lock held. To be set before anything else is called.
  void OnShortage(std::function<void()> make_room) { make_room_ = std::move(make_room); }

  // Whether somebody may write so many bytes, or (0) begin to write. ResourceExhausted: the message
  // says what is full and how to make room.
  absl::Status CheckRoom(int64_t bytes = 0);

  // Whether what is left is little: less than a tenth of the quota, or half a reserve. Measures.
  bool IsNearlyShort();

  // As long as it lives, what writes to `directory` is stopped when the space runs out and it is
  // the one that takes most of it.
  class Watch {
   public:
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    // ResourceExhausted: `stop` was called, for this reason.
    absl::Status status() const;

   private:
    friend class DiskBudget;
    Watch(DiskBudget& budget, std::string directory, std::function<void()> stop)
        : budget_(budget), directory_(std::move(directory)), stop_(std::move(stop)) {}

    DiskBudget& budget_;
    const std::string directory_;
    const std::function<void()> stop_;
    absl::Status status_;  // guarded by the budget's mutex
  };
  // `stop` is called at most once, on a thread of the budget's, and must not wait.
  std::unique_ptr<Watch> Begin(std::string directory, std::function<void()> stop);

 private:
  struct Shortage {
    bool exists = false;
    std::string what;  // in words
  };

  int64_t FreeBytes() const;
  // Of the directory, at most; measures it where that is too old to tell.
  int64_t UsedBytes(int64_t free, int64_t wanted);
  void Measure();
  Shortage Look(int64_t wanted);
  void TryToMakeRoom();
  void Follow();
  void StopTheLargest(const std::string& reason);
  bool IsWatching() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ends_ || !watches_.empty();
  }

  const Options options_;
  std::function<void()> make_room_;
  absl::Mutex measuring_;  // guards nothing: one measurement at a time is enough
  mutable absl::Mutex mutex_;
  std::set<Watch*> watches_ ABSL_GUARDED_BY(mutex_);
  int64_t used_ ABSL_GUARDED_BY(mutex_) = -1;  // at the last measurement; -1: there was none
  int64_t free_then_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time measured_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Duration measuring_took_ ABSL_GUARDED_BY(mutex_);
  absl::Time room_made_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread follower_;
};

// "1.5 GiB"
std::string BytesInWords(int64_t bytes);

}  // namespace contree

#endif  // LOCAL_BACKEND_UPKEEP_DISK_BUDGET_H_
