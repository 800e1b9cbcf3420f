#ifndef CONTREE_SERVICE_OPERATIONS_FOLLOWED_OPERATION_H_
#define CONTREE_SERVICE_OPERATIONS_FOLLOWED_OPERATION_H_

// What is known of one operation that is being followed: its events so far, bounded, and who
// watches. One follower writes; any number of watchers read, each at its own pace, from whatever
// they last saw.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "contree/v1/operation.pb.h"

namespace contree {

using SharedEvent = std::shared_ptr<const v1::OperationEvent>;

// Thread-safe. Held by shared_ptr.
class FollowedOperation {
 public:
  // Called, from any thread and without a lock, when there may be something new; also once more
  // after leaving.
  using OnChange = std::function<void()>;

  FollowedOperation(std::string tenant, std::string id, size_t max_log_bytes)
      : tenant_(std::move(tenant)), id_(std::move(id)), max_log_bytes_(max_log_bytes) {}

  const std::string& tenant() const { return tenant_; }
  const std::string& id() const { return id_; }

  // For the follower.
  std::stop_token stop_token() const { return stop_.get_token(); }
  void RequestStop() { stop_.request_stop(); }
  // Adds an event; where the log gets too large, its oldest output goes.
  void Add(v1::OperationEvent event);
  // No more events; OK: the last one is `completed`.
  void End(absl::Status status);
  // Whether the last event so far is `completed`.
  bool HasRecord() const;
  size_t log_bytes() const;

  // For watchers. False: nobody follows it any more; follow it anew.
  bool Join(uint64_t watcher, OnChange on_change, bool only_the_end);
  // Takes part without watching: it is followed to its end whoever leaves.
  bool Keep();
  // The last one to leave ends the following, unless it is kept.
  void Leave(uint64_t watcher);

  // The first event at or behind `cursor`, which is set behind it; kNothingYet; or kEnded with why.
  struct Step {
    enum Kind { kEvent, kNothingYet, kEnded } kind = kNothingYet;
    SharedEvent event = nullptr;
    absl::Status status = absl::OkStatus();
  };
  Step Next(uint64_t* cursor) const;
  // The `completed` event, once there is one, or why there is none.
  Step Final() const;

 private:
  struct Watcher {
    std::shared_ptr<const OnChange> on_change;
    bool only_the_end = false;
  };

  const std::string tenant_;
  const std::string id_;
  const size_t max_log_bytes_;
  std::stop_source stop_;

  mutable absl::Mutex mutex_;
  std::deque<std::pair<uint64_t, SharedEvent>> log_
      ABSL_GUARDED_BY(mutex_);  // by sequence number, with gaps
  uint64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t log_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_status_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, Watcher> watchers_ ABSL_GUARDED_BY(mutex_);
  bool kept_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_OPERATIONS_FOLLOWED_OPERATION_H_
