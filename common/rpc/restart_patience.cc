#include "common/rpc/restart_patience.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/time/timer_queue.h"

namespace contree {
namespace {

using grpc::experimental::InterceptionHookPoints;

// Between two looks that lie further apart, nobody knows what was.
constexpr absl::Duration kForgottenAfter = absl::Seconds(2);

TimerQueue& Timers() {
  static TimerQueue& timers = *new TimerQueue();
  return timers;
}

// What the calls of one channel have seen of it.
class Presence {
 public:
  Presence(std::string address, const RestartPatienceOptions& options)
      : address_(std::move(address)), options_(options) {}

  const RestartPatienceOptions& options() const { return options_; }

  // Whether a channel that is now in `state` has been away for too long to go on waiting.
  bool HasLeft(grpc_connectivity_state state) {
    const absl::Time now = absl::Now();
    const absl::MutexLock lock(&mutex_);
    if (state == GRPC_CHANNEL_READY) {
      was_reached_ = true;
      away_since_ = absl::InfiniteFuture();
    } else {
      if (now - looked_at_ > kForgottenAfter) away_since_ = absl::InfiniteFuture();
      // While it is idle or connects, it may just never have been asked.
      if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) away_since_ = std::min(away_since_, now);
    }
    looked_at_ = now;
    return now - away_since_ >= Patience();
  }

  grpc::Status Error() {
    const absl::MutexLock lock(&mutex_);
    return {grpc::StatusCode::UNAVAILABLE,
            absl::StrCat(address_, " cannot be reached, and calls wait only ",
                         absl::FormatDuration(Patience()),
                         " for it to come back; check that the service runs and listens there, and "
                         "with TLS that both sides' certificates are right")};
  }

 private:
  absl::Duration Patience() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return was_reached_ ? options_.known : options_.unknown;
  }

  const std::string address_;
  const RestartPatienceOptions options_;
  absl::Mutex mutex_;
  bool was_reached_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time away_since_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Time looked_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

// Of one call; lives as long as its ClientContext.
class RestartPatience final : public grpc::experimental::Interceptor {
 public:
  RestartPatience(std::shared_ptr<Presence> presence, grpc::experimental::ClientRpcInfo* call)
      : presence_(std::move(presence)), call_(call) {}
  ~RestartPatience() override { StopLooking(); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      Look();
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      StopLooking();  // the service has it
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_STATUS)) {
      StopLooking();
      grpc::Status* const status = methods->GetRecvStatus();
      if (gave_up_ && status != nullptr && status->error_code() == grpc::StatusCode::CANCELLED) {
        *status = presence_->Error();
      }
    }
    methods->Proceed();
  }

 private:
  void Look() {
    if (presence_->HasLeft(call_->channel()->GetState(/*try_to_connect=*/true))) {
      gave_up_ = true;
      // It may call back here, on this thread.
      canceller_ = std::this_thread::get_id();
      call_->client_context()->TryCancel();
      canceller_ = std::thread::id();
      return;
    }
    const absl::MutexLock lock(&mutex_);
    if (ended_) return;
    timer_ = Timers().Add(absl::Now() + presence_->options().look_every, [this] { Look(); });
  }

  void StopLooking() {
    std::optional<TimerQueue::Id> timer;
    {
      const absl::MutexLock lock(&mutex_);
      ended_ = true;
      timer = std::exchange(timer_, std::nullopt);
    }
    if (timer.has_value() && canceller_ != std::this_thread::get_id()) Timers().Cancel(*timer);
  }

  const std::shared_ptr<Presence> presence_;
  grpc::experimental::ClientRpcInfo* const call_;
  std::atomic<bool> gave_up_ = false;
  std::atomic<std::thread::id> canceller_ = std::thread::id();
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<TimerQueue::Id> timer_ ABSL_GUARDED_BY(mutex_);
};

class RestartPatienceFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit RestartPatienceFactory(std::shared_ptr<Presence> presence)
      : presence_(std::move(presence)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* call) override {
    return new RestartPatience(presence_, call);
  }

 private:
  const std::shared_ptr<Presence> presence_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> MakeRestartPatience(
    const std::string& address, const RestartPatienceOptions& options) {
  return std::make_unique<RestartPatienceFactory>(std::make_shared<Presence>(address, options));
}

}  // namespace contree
