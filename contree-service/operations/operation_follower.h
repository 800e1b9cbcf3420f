#ifndef CONTREE_SERVICE_OPERATIONS_OPERATION_FOLLOWER_H_
#define CONTREE_SERVICE_OPERATIONS_OPERATION_FOLLOWER_H_

// Follows one operation on the platform from wherever it is to its end: by its event stream,
// resumed where it breaks, or by asking again and again where the platform has no such stream.

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/retry/backoff.h"
#include "common/time/clock.h"
#include "common/time/timer_queue.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/operations/followed_operation.h"
#include "contree-service/store/contree_store.h"

namespace contree {

struct FollowPolicy {
  BackoffPolicy reconnect = {
      .first = absl::Milliseconds(50), .largest = absl::Seconds(5), .factor = 2, .jitter = 0.3};
  BackoffPolicy poll = {
      .first = absl::Milliseconds(50), .largest = absl::Seconds(2), .factor = 1.5, .jitter = 0.3};
  // Between the event that says "completed" and a record that says so too.
  BackoffPolicy finish = {.first = absl::Milliseconds(2),
                          .largest = absl::Milliseconds(500),
                          .factor = 2,
                          .jitter = 0.3};
  // A platform that cannot be reached for so long ends the following with its error; watching
  // begins it anew.
  absl::Duration give_up_after = absl::Minutes(10);
};

// A final record that a follower has just stored.
struct FinishedOperation {
  const std::string& tenant;
  const std::string& base_url;
  const v1::Operation& operation;
};

// Used by one thread for one operation.
class OperationFollower {
 public:
  // All must outlive it. `on_end` is told, once, just before the operation's watchers are;
  // `on_final`, before that, where there is a record.
  OperationFollower(const FollowPolicy& policy, ApiDirectory* apis, ContreeStore* store,
                    Clock* clock, TimerQueue* timers, FollowedOperation* operation,
                    std::function<void(const FinishedOperation&)> on_final,
                    std::function<void()> on_end);

  // Returns once the operation has ended (for us): final, unknown to the platform, forbidden, or
  // nobody watches it.
  void Run();

 private:
  absl::Status FollowToTheEnd();
  // Connects and learns the scope; answers from the store where the record is there.
  absl::Status FollowOnce(const CallContext& context);
  absl::Status Stream(const ContreeApi& api, const CallContext& context);
  // Asks again and again until it is final or an error comes.
  absl::Status Poll(const ContreeApi& api, const CallContext& context);
  // Asks once; final: it is finished. `event_id` is that of the completion event, -1: there was
  // none.
  absl::StatusOr<OperationSnapshot> Check(const ContreeApi& api, int64_t event_id,
                                          absl::Time event_time, const CallContext& context);
  // After the completion event: asks until the record is final.
  absl::Status FetchFinal(const ContreeApi& api, const v1::OperationEvent& completion,
                          const CallContext& context);
  void Finish(const ContreeApi& api, v1::Operation operation, int64_t event_id,
              absl::Time event_time);
  void EndWith(absl::Status status);
  void Pause(absl::Duration duration);

  const FollowPolicy policy_;
  ApiDirectory* const apis_;
  ContreeStore* const store_;
  Clock* const clock_;
  TimerQueue* const timers_;
  FollowedOperation* const operation_;
  const std::function<void(const FinishedOperation&)> on_final_;
  const std::function<void()> on_end_;

  Backoff reconnect_;
  int64_t last_event_id_ = -1;
  v1::OperationState last_state_ = v1::OPERATION_STATE_UNSPECIFIED;
  absl::Time last_contact_;
  bool store_was_asked_ = false;
  bool ended_ = false;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_OPERATIONS_OPERATION_FOLLOWER_H_
