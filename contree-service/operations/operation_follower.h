#ifndef CONTREE_SERVICE_OPERATIONS_OPERATION_FOLLOWER_H_
#define CONTREE_SERVICE_OPERATIONS_OPERATION_FOLLOWER_H_

// Follows one operation on the platform from wherever it is to its end: by its event stream,
// resumed where it breaks, or by asking again and again where the platform has no such stream.
//
// It has no thread of its own. Its steps that may wait (a request, the store) run on a pool, one
// after the other; its stream is read by the HttpStreamLoop, its pauses are timers.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/http/http_stream_loop.h"
#include "common/retry/backoff.h"
#include "common/rpc/call_context.h"
#include "common/threads/growing_thread_pool.h"
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
  // A stream on which not even a comment comes for so long is connected anew. A platform that sends
  // keep-alive comments does so far more often; without them a reconnect costs one request.
  absl::Duration max_silence = absl::Seconds(90);
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

// What all followers work with.
struct FollowerParts {
  ApiDirectory* apis;
  ContreeStore* store;
  Clock* clock;
  TimerQueue* timers;
  HttpStreamLoop* streams;
  GrowingThreadPool* threads;
  // Told of each final record just before its watchers are; may be empty. Must not block.
  std::function<void(const FinishedOperation&)> on_final;
};

// Held by what it waits for, until the operation has ended for us: final, unknown to the platform,
// forbidden, or nobody watches it.
class OperationFollower : public std::enable_shared_from_this<OperationFollower> {
 public:
  // The parts must outlive it. `on_end` is told, once, just before the operation's watchers are.
  OperationFollower(const FollowPolicy& policy, const FollowerParts& parts,
                    std::shared_ptr<FollowedOperation> operation, std::function<void()> on_end);

  // Begins. ResourceExhausted: there are no threads.
  absl::Status Start();

 private:
  // One at a time, and none while a stream is open or a timer runs.
  using Step = void (OperationFollower::*)();

  // Answers from the store where the record is there, else connects to the events.
  void Connect();
  void AfterStream();
  void Poll();
  // After the completion event: asks until the record is final.
  void FetchFinal();
  void EndStopped();

  // Runs `step` on the pool, now or after a pause.
  void Next(Step step);
  void Later(absl::Duration pause, Step step);
  // Connects again after a pause where that may help, else ends with `status`.
  void Retry(const absl::Status& status);

  // The stream's events, on the loop's thread.
  absl::Status OnEvent(const StreamedEvent& streamed);
  void OnStreamEnd(const EventStreamEnd& end);
  void OnStop();

  bool IsStopped() const { return context_.stop.stop_requested(); }
  CallContext CallOfItsOwn() const;
  // Asks once; final: it is finished. `event_id` is that of the completion event, -1: there was
  // none.
  absl::StatusOr<OperationSnapshot> Check(int64_t event_id, absl::Time event_time);
  void Finish(v1::Operation operation, int64_t event_id, absl::Time event_time);
  void EndWith(absl::Status status);

  const FollowPolicy policy_;
  const FollowerParts& parts_;
  const std::shared_ptr<FollowedOperation> operation_;
  const std::function<void()> on_end_;
  CallContext context_;

  // Each step's, handed on to the next.
  Backoff reconnect_;
  Backoff polls_;
  Backoff finish_;
  std::optional<ContreeApi> api_;
  EventStreamEnd stream_end_;
  std::optional<v1::OperationEvent> completion_;
  int64_t last_event_id_ = -1;
  v1::OperationState last_state_ = v1::OPERATION_STATE_UNSPECIFIED;
  absl::Time last_contact_;
  bool store_was_asked_ = false;
  bool ended_ = false;

  // What to end when the following is stopped.
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<TimerQueue::Id> pause_ ABSL_GUARDED_BY(mutex_);
  std::optional<HttpStreamLoop::Id> stream_ ABSL_GUARDED_BY(mutex_);

  struct Stop {
    std::weak_ptr<OperationFollower> follower;
    void operator()() const {
      if (const auto self = follower.lock(); self != nullptr) self->OnStop();
    }
  };
  std::optional<std::stop_callback<Stop>> on_stop_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_OPERATIONS_OPERATION_FOLLOWER_H_
