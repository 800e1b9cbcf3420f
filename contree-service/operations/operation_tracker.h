#ifndef CONTREE_SERVICE_OPERATIONS_OPERATION_TRACKER_H_
#define CONTREE_SERVICE_OPERATIONS_OPERATION_TRACKER_H_

// Follows operations on the platform: one follower for each, shared by all who watch it. Operations
// that were started here are followed to their end; others as long as somebody watches. Nobody
// polls who needs not, nobody waits behind another operation, and memory per operation is bounded.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_stream_loop.h"
#include "common/rpc/call_context.h"
#include "common/threads/growing_thread_pool.h"
#include "common/time/clock.h"
#include "common/time/timer_queue.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/operations/followed_operation.h"
#include "contree-service/operations/operation_follower.h"
#include "contree-service/store/contree_store.h"

namespace contree {

// One watcher's place. Thread-compatible: Next from one thread at a time. Destroying it leaves.
class OperationWatch {
 public:
  OperationWatch(std::shared_ptr<FollowedOperation> operation, uint64_t number,
                 std::optional<int64_t> after_event_id)
      : operation_(std::move(operation)), number_(number), after_event_id_(after_event_id) {}
  ~OperationWatch() { operation_->Leave(number_); }
  OperationWatch(const OperationWatch&) = delete;
  OperationWatch& operator=(const OperationWatch&) = delete;

  const std::string& operation_id() const { return operation_->id(); }
  // The next event behind after_event_id; `completed` always comes, whatever its id.
  FollowedOperation::Step Next();
  // The `completed` event, once there is one, or why there is none.
  FollowedOperation::Step Final() const { return operation_->Final(); }

 private:
  const std::shared_ptr<FollowedOperation> operation_;
  const uint64_t number_;
  const std::optional<int64_t> after_event_id_;
  uint64_t cursor_ = 0;
};

struct OperationTrackerOptions {
  size_t max_followed = 4096;
  // For requests to the platform about followed operations; what waits for an event has none.
  size_t max_threads = 128;
  // Output beyond it is dropped from the oldest on; late watchers get it with the final record.
  size_t max_log_bytes = 256 << 10;
  // Operations that have ended stay for watchers who come late, up to so many and so many bytes in
  // all.
  size_t max_ended = 256;
  size_t max_ended_bytes = 4 << 20;
  FollowPolicy follow = {};
  // Told of each final record just before its watchers are. Must not block.
  std::function<void(const FinishedOperation&)> on_final = nullptr;
};

// Thread-safe. No method waits for the platform, except AwaitFinal.
class OperationTracker {
 public:
  // All must outlive it.
  OperationTracker(const OperationTrackerOptions& options, ApiDirectory* apis, ContreeStore* store,
                   HttpStreamLoop* streams, Clock* clock);
  ~OperationTracker();  // stops; every OperationWatch must be gone

  // Follows the operation to its end, whoever watches. ResourceExhausted: too many are followed.
  // Unavailable: stopped.
  absl::Status Follow(const std::string& tenant, const std::string& id);

  // Watches an operation from its first event on, or from behind after_event_id; `on_change` is
  // called when Next may give something (also once after leaving), for only_the_end just when Final
  // does. Errors as Follow; that the operation does not exist is said by Next.
  absl::StatusOr<std::unique_ptr<OperationWatch>> Watch(const std::string& tenant,
                                                        const std::string& id,
                                                        std::optional<int64_t> after_event_id,
                                                        bool only_the_end,
                                                        FollowedOperation::OnChange on_change);

  // Waits for the final record. DeadlineExceeded, Cancelled: of the waiting, not of the operation.
  // Otherwise as the following ended: NotFound, Unavailable.
  absl::StatusOr<v1::Operation> AwaitFinal(const std::string& id, const CallContext& context);

  size_t followed_count() const;
  // Of one tenant, and without those whose end is known.
  size_t running_count(absl::string_view tenant) const;

  // Ends all following; watchers are told Unavailable. Idempotent.
  void Stop();

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, operation id

  // The operation under `key`, followed by a new follower if by none.
  absl::StatusOr<std::shared_ptr<FollowedOperation>> FindOrFollow(
      const Key& key, absl::FunctionRef<bool(FollowedOperation&)> join);
  void OnEnded(const Key& key, const std::shared_ptr<FollowedOperation>& operation);

  const OperationTrackerOptions options_;
  TimerQueue timers_;
  GrowingThreadPool threads_;
  const FollowerParts parts_;

  // A follower may be about to go when its operation has ended long ago.
  absl::Mutex live_mutex_;
  size_t live_ ABSL_GUARDED_BY(live_mutex_) = 0;

  mutable absl::Mutex mutex_;
  uint64_t next_watcher_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // Those that are followed and those that have ended lately.
  absl::flat_hash_map<Key, std::shared_ptr<FollowedOperation>> operations_ ABSL_GUARDED_BY(mutex_);
  struct Ended {
    Key key;
    std::shared_ptr<FollowedOperation> operation;
    size_t bytes;
  };
  std::deque<Ended> ended_ ABSL_GUARDED_BY(mutex_);  // the oldest first
  size_t ended_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_OPERATIONS_OPERATION_TRACKER_H_
