#include "contree-service/operations/operation_follower.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"
#include "contree-service/api/operation_json.h"
#include "contree-service/api/proto_time.h"

namespace contree {
namespace {

// The follower has its own loop: what it calls tries just once.
constexpr RetryPolicy kOneAttempt = {.max_attempts = 1, .backoff = {}};
// One exchange that is no stream; also how long an embedded backend may take to come up.
constexpr absl::Duration kCallTimeout = absl::Seconds(60);
// A stream usually closes itself behind its last event, which keeps the connection usable.
constexpr absl::Duration kStreamClosesItself = absl::Seconds(1);
// Longer than this is no pause that anybody meant.
constexpr absl::Duration kLongestPause = absl::Seconds(60);

// Whether a later attempt may succeed.
bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsAborted(status) || absl::IsResourceExhausted(status) || absl::IsInternal(status) ||
         absl::IsUnknown(status);
}

CallContext Within(const CallContext& context, absl::Time deadline) {
  CallContext bounded = context;
  bounded.deadline = deadline;
  return bounded;
}

}  // namespace

OperationFollower::OperationFollower(const FollowPolicy& policy, ApiDirectory* apis,
                                     ContreeStore* store, Clock* clock, TimerQueue* timers,
                                     FollowedOperation* operation,
                                     std::function<void(const FinishedOperation&)> on_final,
                                     std::function<void()> on_end)
    : policy_(policy),
      apis_(apis),
      store_(store),
      clock_(clock),
      timers_(timers),
      operation_(operation),
      on_final_(std::move(on_final)),
      on_end_(std::move(on_end)),
      reconnect_(policy.reconnect) {}

void OperationFollower::EndWith(absl::Status status) {
  if (ended_) return;
  ended_ = true;
  on_end_();
  operation_->End(std::move(status));
}

void OperationFollower::Pause(absl::Duration duration) {
  clock_->Sleep(std::clamp(duration, absl::ZeroDuration(), kLongestPause),
                operation_->stop_token());
}

void OperationFollower::Run() {
  absl::Status status = FollowToTheEnd();
  if (status.ok())
    status = absl::InternalError(
        absl::StrCat("operation ", operation_->id(), " ended without a record"));
  EndWith(std::move(status));  // does nothing where the operation was finished
}

absl::Status OperationFollower::FollowToTheEnd() {
  CallContext context;
  context.tenant = operation_->tenant();
  context.request_id = NewUuidV7(clock_->Now());
  context.stop = operation_->stop_token();
  last_contact_ = clock_->Now();
  while (true) {
    absl::Status status = FollowOnce(context);
    if (ended_) return absl::OkStatus();
    if (context.stop.stop_requested()) {
      return absl::UnavailableError(absl::StrCat(
          "operation ", operation_->id(), ": contree-service stops following it; ask again"));
    }
    if (!status.ok() && !IsTransient(status)) return status;
    if (clock_->Now() - last_contact_ >= policy_.give_up_after) {
      return absl::UnavailableError(
          absl::StrCat("operation ", operation_->id(), ": the platform could not be reached for ",
                       absl::FormatDuration(policy_.give_up_after), ": ", status.message()));
    }
    Pause(reconnect_.Next());
  }
}

absl::Status OperationFollower::FollowOnce(const CallContext& context) {
  ASSIGN_OR_RETURN(const ContreeApi api,
                   apis_->ApiFor(Within(context, clock_->Now() + kCallTimeout), kOneAttempt));
  if (!store_was_asked_) {
    store_was_asked_ = true;
    const StoreScope scope = {.tenant = context.tenant, .platform = api.platform()};
    auto stored = store_->FindFinal(scope, operation_->id());
    if (stored.ok() && stored->has_value()) {
      v1::OperationEvent event;
      event.set_id(-1);
      SetTime(clock_->Now(), event.mutable_time());
      *event.mutable_completed() = *std::move(*stored);
      operation_->Add(std::move(event));
      EndWith(absl::OkStatus());
      return absl::OkStatus();
    }
  }
  return Stream(api, context);
}

absl::Status OperationFollower::Stream(const ContreeApi& api, const CallContext& context) {
  // Ends the stream when following stops, and some time after its last event.
  std::stop_source stream_stop;
  const std::stop_callback on_stop(context.stop, [&stream_stop] { stream_stop.request_stop(); });
  std::optional<TimerQueue::Id> closing;
  const absl::Cleanup forget_timer = [&] {
    if (closing.has_value()) timers_->Cancel(*closing);
  };
  CallContext streaming = context;
  streaming.stop = stream_stop.get_token();
  const EventStreamEnd end = api.FollowEvents(
      operation_->id(), last_event_id_, streaming, [&](const StreamedEvent& streamed) {
        last_contact_ = clock_->Now();
        reconnect_.Reset();
        // A platform that replays more than it was asked for repeats nothing to our watchers.
        if (streamed.id >= 0 && streamed.id <= last_event_id_ && !streamed.completion)
          return absl::OkStatus();
        if (ended_) return absl::OkStatus();
        if (streamed.completion) {
          absl::Status fetched = FetchFinal(api, *streamed.event, context);
          if (ended_) {
            closing = timers_->Add(absl::Now() + kStreamClosesItself,
                                   [&stream_stop] { stream_stop.request_stop(); });
          }
          return fetched;
        }
        last_event_id_ = std::max(last_event_id_, streamed.id);
        if (streamed.event.has_value()) {
          if (streamed.event->has_state_changed())
            last_state_ = streamed.event->state_changed().state();
          operation_->Add(*streamed.event);
        }
        return absl::OkStatus();
      });
  if (ended_ || context.stop.stop_requested()) return absl::OkStatus();

  // It broke, or never began. The operation itself says what that means.
  const auto snapshot =
      Check(api, -1, clock_->Now(), Within(context, clock_->Now() + kCallTimeout));
  if (!snapshot.ok()) return snapshot.status();
  if (ended_) return absl::OkStatus();
  const bool forbidden =
      absl::IsPermissionDenied(end.status) || absl::IsUnauthenticated(end.status);
  if (end.no_route || forbidden) {
    return Poll(api, context);
  }
  if (end.retry_after.has_value()) Pause(*end.retry_after);
  return end.status;
}

absl::Status OperationFollower::Poll(const ContreeApi& api, const CallContext& context) {
  Backoff pauses(policy_.poll);
  while (!context.stop.stop_requested()) {
    const auto snapshot =
        Check(api, -1, clock_->Now(), Within(context, clock_->Now() + kCallTimeout));
    if (!snapshot.ok()) return snapshot.status();
    if (ended_) return absl::OkStatus();
    Pause(snapshot->poll_after.value_or(pauses.Next()));
  }
  return absl::OkStatus();
}

absl::StatusOr<OperationSnapshot> OperationFollower::Check(const ContreeApi& api, int64_t event_id,
                                                           absl::Time event_time,
                                                           const CallContext& context) {
  ASSIGN_OR_RETURN(OperationSnapshot snapshot, api.GetOperation(operation_->id(), context));
  last_contact_ = clock_->Now();
  const v1::OperationState state = snapshot.operation.state();
  if (IsFinal(state)) {
    Finish(api, snapshot.operation, event_id, event_time);
  } else if (state != last_state_ && state != v1::OPERATION_STATE_UNSPECIFIED) {
    last_state_ = state;
    v1::OperationEvent event;
    event.set_id(-1);
    SetTime(event_time, event.mutable_time());
    event.mutable_state_changed()->set_state(state);
    operation_->Add(std::move(event));
  }
  return snapshot;
}

absl::Status OperationFollower::FetchFinal(const ContreeApi& api,
                                           const v1::OperationEvent& completion,
                                           const CallContext& context) {
  Backoff pauses(policy_.finish);
  const absl::Time event_time = completion.has_time() ? GetTime(completion.time()) : clock_->Now();
  while (!context.stop.stop_requested()) {
    const auto snapshot =
        Check(api, completion.id(), event_time, Within(context, clock_->Now() + kCallTimeout));
    if (ended_) return absl::OkStatus();
    if (!snapshot.ok() && !IsTransient(snapshot.status())) {
      // Ends the stream, whose error says nothing about the record; the loop around asks once more
      // and reports.
      return absl::AbortedError(snapshot.status().message());
    }
    if (clock_->Now() - last_contact_ >= policy_.give_up_after)
      return absl::AbortedError("no final record");
    Pause(pauses.Next());
  }
  return absl::CancelledError("following stops");
}

void OperationFollower::Finish(const ContreeApi& api, v1::Operation operation, int64_t event_id,
                               absl::Time event_time) {
  // Stored first: whoever learns of the end may ask for the record at once.
  const StoreScope scope = {.tenant = operation_->tenant(), .platform = api.platform()};
  if (const absl::Status stored = store_->PutFinal(scope, operation, clock_->Now()); !stored.ok()) {
    LogWarning("the final record of an operation could not be stored",
               {{"operation", operation_->id()}, {"error", std::string(stored.message())}});
  }
  if (on_final_ != nullptr) {
    on_final_({.tenant = scope.tenant, .base_url = api.base_url(), .operation = operation});
  }
  v1::OperationEvent event;
  event.set_id(event_id);
  SetTime(event_time, event.mutable_time());
  *event.mutable_completed() = std::move(operation);
  operation_->Add(std::move(event));
  EndWith(absl::OkStatus());
}

}  // namespace contree
