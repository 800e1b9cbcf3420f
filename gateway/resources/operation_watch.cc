#include "gateway/resources/operation_watch.h"

#include <grpcpp/alarm.h>

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/retry/backoff.h"
#include "common/rpc/grpc_context.h"

namespace contree::gateway {
namespace {

using contree::v1::OperationEvent;
using contree::v1::WatchOperationRequest;
using contree::v1::WatchOperationResponse;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr BackoffPolicy kRetryPolicy = {.first = absl::Milliseconds(100),
                                        .largest = absl::Seconds(10)};

// What asking again does not change.
bool IsRefusal(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::UNIMPLEMENTED:
      return true;
    default:
      return false;
  }
}

// At any time it is in a stream, in a pause before the next one, or idle, which it stays. gRPC's
// callbacks lead from one to the other; the mutex is not held while any of them calls on_change or
// gRPC.
class OperationWatch final : public ResourceWatch {
 public:
  OperationWatch(Stub& stub, const std::string& operation_id, const CallContext& context,
                 ResourceChanged on_change)
      : stub_(stub), on_change_(std::move(on_change)), backoff_(kRetryPolicy) {
    request_.set_operation_id(operation_id);
    context_.tenant = context.tenant;
    context_.principal = context.principal;
    context_.bearer_token = context.bearer_token;
    context_.request_id = context.request_id;
  }

  ~OperationWatch() override {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->Cancel();
    if (pause_ != nullptr) pause_->Cancel();
    mutex_.Await(absl::Condition(&idle_));
  }

  void Begin() {
    Stream* stream = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      idle_ = stopping_;
      if (idle_) return;
      stream = stream_ = new Stream(*this);
    }
    stream->Start();
  }

 private:
  // One call; it deletes itself when the call is over.
  class Stream final : public grpc::ClientReadReactor<WatchOperationResponse> {
   public:
    explicit Stream(OperationWatch& watch) : watch_(watch), call_(watch.context_) {}

    void Start() {
      watch_.stub_.async()->WatchOperation(call_.client_context(), &watch_.request_, this);
      StartRead(&response_);
      StartCall();
    }
    void Cancel() { call_.client_context()->TryCancel(); }

    void OnReadDone(bool ok) override {
      if (!ok) return;  // OnDone follows
      if (watch_.Hear(response_.event())) {
        StartRead(&response_);
      } else {
        Cancel();
      }
    }
    void OnDone(const grpc::Status& status) override {
      watch_.HearEnd(status);
      delete this;
    }

   private:
    OperationWatch& watch_;
    OutgoingCall call_;
    WatchOperationResponse response_;
  };

  // False: there is nothing more to hear.
  bool Hear(const OperationEvent& event) {
    const bool is_final = event.has_completed();
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_ || ended_) return false;
      backoff_.Reset();
      ended_ = is_final;
    }
    if (event.id() >= 0) next_after_ = event.id();
    if (is_final || event.has_state_changed()) on_change_(is_final);
    return !is_final;
  }

  // A callback of the stream or the pause: the last thing that it does with this.
  void HearEnd(const grpc::Status& status) {
    absl::MutexLock lock(&mutex_);
    stream_ = nullptr;
    if (stopping_ || ended_ || IsRefusal(status)) {
      idle_ = true;
      return;
    }
    // No stream is open: the request can be changed.
    if (next_after_.has_value()) request_.set_after_event_id(*next_after_);
    // One that has rung may still be on its way out of its callback: it goes by itself.
    pause_ = std::make_unique<grpc::Alarm>();
    pause_->Set(absl::ToChronoTime(absl::Now() + backoff_.Next()), [this](bool) { Begin(); });
  }

  Stub& stub_;
  const ResourceChanged on_change_;
  CallContext context_;
  WatchOperationRequest request_;      // read by gRPC while a stream starts
  std::optional<int64_t> next_after_;  // used by the callbacks of one stream at a time

  absl::Mutex mutex_;
  Backoff backoff_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool idle_ ABSL_GUARDED_BY(mutex_) = true;
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::unique_ptr<grpc::Alarm> pause_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<ResourceWatch> WatchOperationResource(Stub& stub, const std::string& operation_id,
                                                      const CallContext& context,
                                                      ResourceChanged on_change) {
  auto watch = std::make_unique<OperationWatch>(stub, operation_id, context, std::move(on_change));
  watch->Begin();
  return watch;
}

}  // namespace contree::gateway
