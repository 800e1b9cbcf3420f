#include "contree-service/operations/operation_follower.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/call_log.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/telemetry/metrics.h"
#include "common/uuid/uuid.h"
#include "contree-service/api/operation_json.h"
#include "contree-service/api/proto_time.h"

namespace contree {
namespace {

// The follower has its own loop: what it calls tries just once.
constexpr RetryPolicy kOneAttempt = {.max_attempts = 1, .backoff = {}};
// One exchange that is no stream; also how long an embedded backend may take to come up.
constexpr absl::Duration kCallTimeout = absl::Seconds(60);
// Longer than this is no pause that anybody meant.
constexpr absl::Duration kLongestPause = absl::Seconds(60);
// Where not one thread is to be had.
constexpr absl::Duration kThreadPause = absl::Seconds(1);

// Whether a later attempt may succeed.
bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsAborted(status) || absl::IsResourceExhausted(status) || absl::IsInternal(status) ||
         absl::IsUnknown(status);
}

GaugeMetric& Followed() {
  static auto& metric = *new GaugeMetric(
      "contree_operations_running", "Operations that are followed and have not ended.", {"tenant"});
  return metric;
}

}  // namespace

OperationFollower::OperationFollower(const FollowPolicy& policy, const FollowerParts& parts,
                                     std::shared_ptr<FollowedOperation> operation,
                                     std::function<void()> on_end)
    : policy_(policy),
      parts_(parts),
      operation_(std::move(operation)),
      on_end_(std::move(on_end)),
      reconnect_(policy.reconnect),
      polls_(policy.poll),
      finish_(policy.finish),
      last_contact_(parts.clock->Now()) {
  context_.tenant = operation_->tenant();
  context_.request_id = NewUuidV7(last_contact_);
  context_.stop = operation_->stop_token();
}

absl::Status OperationFollower::Start() {
  Followed().Add({context_.tenant}, 1);
  on_stop_.emplace(context_.stop, Stop{weak_from_this()});
  const absl::Status begun = parts_.threads->RunOrQueue([self = shared_from_this()] {
    const CallLog log(self->context_);
    self->Connect();
  });
  if (!begun.ok()) Followed().Add({context_.tenant}, -1);
  return begun;
}

void OperationFollower::Next(Step step) {
  const absl::Status begun = parts_.threads->RunOrQueue([self = shared_from_this(), step] {
    const CallLog log(self->context_);
    (self.get()->*step)();
  });
  if (begun.ok()) return;
  LogWarning("following an operation waits for a thread",
             {{"operation", operation_->id()}, {"error", std::string(begun.message())}});
  parts_.timers->Add(absl::Now() + kThreadPause,
                     [self = shared_from_this(), step] { self->Next(step); });
}

void OperationFollower::Later(absl::Duration pause, Step step) {
  const absl::Time until = absl::Now() + std::clamp(pause, absl::ZeroDuration(), kLongestPause);
  {
    absl::MutexLock lock(&mutex_);
    if (!stopped_) {
      pause_ = parts_.timers->Add(until, [self = shared_from_this(), step] { self->Next(step); });
      return;
    }
  }
  EndStopped();
}

void OperationFollower::OnStop() {
  std::optional<TimerQueue::Id> pause;
  std::optional<HttpStreamLoop::Id> stream;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    pause = std::exchange(pause_, std::nullopt);
    stream = std::exchange(stream_, std::nullopt);
  }
  // The stream's end comes as any other, and a step that runs sees the stop by itself.
  if (stream.has_value()) parts_.streams->Close(*stream);
  if (pause.has_value() && parts_.timers->Cancel(*pause)) Next(&OperationFollower::EndStopped);
}

void OperationFollower::EndStopped() {
  EndWith(absl::UnavailableError(absl::StrCat("operation ", operation_->id(),
                                              ": contree-service stops following it; ask again")));
}

void OperationFollower::EndWith(absl::Status status) {
  if (ended_) return;
  ended_ = true;
  Followed().Add({context_.tenant}, -1);
  on_end_();
  operation_->End(std::move(status));
}

CallContext OperationFollower::CallOfItsOwn() const {
  CallContext bounded = context_;
  bounded.deadline = parts_.clock->Now() + kCallTimeout;
  return bounded;
}

void OperationFollower::Retry(const absl::Status& status) {
  if (IsStopped()) return EndStopped();
  if (!status.ok() && !IsTransient(status)) return EndWith(status);
  if (parts_.clock->Now() - last_contact_ >= policy_.give_up_after) {
    return EndWith(absl::UnavailableError(
        absl::StrCat("operation ", operation_->id(), ": the platform could not be reached for ",
                     absl::FormatDuration(policy_.give_up_after), ": ", status.message())));
  }
  Later(reconnect_.Next(), &OperationFollower::Connect);
}

void OperationFollower::Connect() {
  if (IsStopped()) return EndStopped();
  absl::StatusOr<ContreeApi> api = parts_.apis->ApiFor(CallOfItsOwn(), kOneAttempt);
  if (!api.ok()) return Retry(api.status());
  api_.emplace(*std::move(api));
  if (!store_was_asked_) {
    store_was_asked_ = true;
    const StoreScope scope = {.tenant = context_.tenant, .platform = api_->platform()};
    auto stored = parts_.store->FindFinal(scope, operation_->id());
    if (stored.ok() && stored->has_value()) {
      v1::OperationEvent event;
      event.set_id(-1);
      SetTime(parts_.clock->Now(), event.mutable_time());
      *event.mutable_completed() = *std::move(*stored);
      operation_->Add(std::move(event));
      return EndWith(absl::OkStatus());
    }
  }
  const auto stream = api_->OpenEvents(
      *parts_.streams, operation_->id(), last_event_id_, policy_.max_silence, context_,
      [self = shared_from_this()](const StreamedEvent& event) { return self->OnEvent(event); },
      [self = shared_from_this()](const EventStreamEnd& end) { self->OnStreamEnd(end); });
  // From here on the stream may end, and the next step run, at any moment.
  if (!stream.ok()) return Retry(stream.status());
  {
    absl::MutexLock lock(&mutex_);
    if (!stopped_) {
      stream_ = *stream;
      return;
    }
  }
  parts_.streams->Close(*stream);
}

absl::Status OperationFollower::OnEvent(const StreamedEvent& streamed) {
  last_contact_ = parts_.clock->Now();
  reconnect_.Reset();
  if (streamed.completion) {
    completion_ = *streamed.event;
    return absl::CancelledError("nothing follows the completion");
  }
  // A platform that replays more than it was asked for repeats nothing to our watchers.
  if (streamed.id >= 0 && streamed.id <= last_event_id_) return absl::OkStatus();
  last_event_id_ = std::max(last_event_id_, streamed.id);
  if (streamed.event.has_value()) {
    if (streamed.event->has_state_changed()) last_state_ = streamed.event->state_changed().state();
    operation_->Add(*streamed.event);
  }
  return absl::OkStatus();
}

void OperationFollower::OnStreamEnd(const EventStreamEnd& end) {
  stream_end_ = end;
  if (completion_.has_value()) {
    finish_.Reset();
    Next(&OperationFollower::FetchFinal);
  } else {
    Next(&OperationFollower::AfterStream);
  }
}

// The stream broke, or never began. The operation itself says what that means.
void OperationFollower::AfterStream() {
  if (IsStopped()) return EndStopped();
  const auto snapshot = Check(-1, parts_.clock->Now());
  if (ended_) return;
  if (!snapshot.ok()) return Retry(snapshot.status());
  // The operation can be asked for and its events cannot: forbidden, redirected elsewhere, or not
  // there at all.
  const bool refused = !stream_end_.status.ok() && !IsTransient(stream_end_.status);
  if (stream_end_.no_route || refused) {
    polls_.Reset();
    return Later(snapshot->poll_after.value_or(polls_.Next()), &OperationFollower::Poll);
  }
  if (stream_end_.retry_after.has_value())
    return Later(*stream_end_.retry_after, &OperationFollower::Connect);
  Retry(stream_end_.status);
}

void OperationFollower::Poll() {
  if (IsStopped()) return EndStopped();
  const auto snapshot = Check(-1, parts_.clock->Now());
  if (ended_) return;
  if (!snapshot.ok()) return Retry(snapshot.status());
  Later(snapshot->poll_after.value_or(polls_.Next()), &OperationFollower::Poll);
}

void OperationFollower::FetchFinal() {
  if (IsStopped()) return EndStopped();
  const absl::Time event_time =
      completion_->has_time() ? GetTime(completion_->time()) : parts_.clock->Now();
  const auto snapshot = Check(completion_->id(), event_time);
  if (ended_) return;
  const bool in_vain = parts_.clock->Now() - last_contact_ >= policy_.give_up_after;
  if (in_vain || (!snapshot.ok() && !IsTransient(snapshot.status()))) {
    completion_.reset();
    // The error says nothing about the operation, which has ended: connecting again asks once more
    // and reports.
    return Retry(absl::AbortedError(snapshot.status().message()));
  }
  Later(finish_.Next(), &OperationFollower::FetchFinal);
}

absl::StatusOr<OperationSnapshot> OperationFollower::Check(int64_t event_id,
                                                           absl::Time event_time) {
  ASSIGN_OR_RETURN(OperationSnapshot snapshot,
                   api_->GetOperation(operation_->id(), CallOfItsOwn()));
  last_contact_ = parts_.clock->Now();
  const v1::OperationState state = snapshot.operation.state();
  if (IsFinal(state)) {
    Finish(snapshot.operation, event_id, event_time);
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

void OperationFollower::Finish(v1::Operation operation, int64_t event_id, absl::Time event_time) {
  // Stored first: whoever learns of the end may ask for the record at once.
  const StoreScope scope = {.tenant = operation_->tenant(), .platform = api_->platform()};
  if (const absl::Status stored = parts_.store->PutFinal(scope, operation, parts_.clock->Now());
      !stored.ok()) {
    LogWarning("the final record of an operation could not be stored",
               {{"operation", operation_->id()}, {"error", std::string(stored.message())}});
  }
  if (parts_.on_final != nullptr) {
    parts_.on_final({.tenant = scope.tenant, .base_url = api_->base_url(), .operation = operation});
  }
  v1::OperationEvent event;
  event.set_id(event_id);
  SetTime(event_time, event.mutable_time());
  *event.mutable_completed() = std::move(operation);
  operation_->Add(std::move(event));
  EndWith(absl::OkStatus());
}

}  // namespace contree
