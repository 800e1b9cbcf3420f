#include "sync-service/sync_reactor.h"

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/rpc/call_log.h"
#include "common/status/grpc_status.h"
#include "common/telemetry/log_scope.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

using sync::v1::SyncRequest;
using sync::v1::SyncResponse;

// Runs the session's steps one behind the other, and ends the call once it has a result or an error
// and no upload is under way any more: then nothing that comes late can find it gone.
//
// It holds itself until OnDone; steps that are posted hold it too. The mutex is never held while
// gRPC or the session runs.
class SyncReactor final : public grpc::ServerBidiReactor<SyncRequest, SyncResponse>,
                          public std::enable_shared_from_this<SyncReactor> {
 public:
  SyncReactor(const SyncParts& parts, GrowingThreadPool* pool, CallContext context,
              std::function<void()> ended)
      : pool_(pool),
        request_id_(context.request_id),
        trace_id_(TraceIdOf(context.trace.traceparent)),
        started_(absl::Now()),
        ended_(std::move(ended)),
        session_(
            parts, WithStop(std::move(context)),
            [this](SyncResponse response) { Send(std::move(response)); },
            [this](Step step) { Post(std::move(step)); }) {}

  void Start() {
    self_ = shared_from_this();
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      Post([this] {
        is_reading_ = false;
        // One that came in while it ended is not looked at.
        return failure_.ok() && !session_.has_result() ? session_.Take(request_) : absl::OkStatus();
      });
    } else {
      Post([this] {
        return session_.has_result() ? absl::OkStatus()
                                     : absl::InvalidArgumentError(
                                           "the message out of order: the walker ended the "
                                           "conversation before the result");
      });
    }
  }

  void OnWriteDone(bool /*ok*/) override {  // of a caller who left, OnCancel tells
    const SyncResponse* next = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      outbox_.pop_front();
      if (!outbox_.empty()) next = &outbox_.front();
    }
    if (next != nullptr) {
      StartWrite(next);
    } else {
      Post([] { return absl::OkStatus(); });  // the call may end now
    }
  }

  void OnCancel() override {
    stop_.request_stop();
    Post([] { return absl::CancelledError("the caller left"); });
  }

  void OnDone() override {
    const LogScope log({{"request_id", request_id_}, {"trace_id", trace_id_}});
    LogFields fields = {
        {"method", "Sync"},
        {"code", absl::StatusCodeToString(failure_.code())},
        {"milliseconds", absl::StrCat(absl::ToInt64Milliseconds(absl::Now() - started_))}};
    if (!failure_.ok()) fields.emplace_back("error", std::string(failure_.message()));
    LogInfo("rpc", fields);
    const std::shared_ptr<SyncReactor> last = std::move(self_);
    ended_();
  }

 private:
  using Step = std::function<absl::Status()>;

  CallContext WithStop(CallContext context) {
    context.stop = stop_.get_token();
    return context;
  }

  void Post(Step step) {
    const std::shared_ptr<SyncReactor> self = shared_from_this();
    {
      absl::MutexLock lock(&mutex_);
      steps_.push_back(std::move(step));
      if (std::exchange(is_running_, true)) return;
    }
    // Without a thread at all there is this one.
    if (!pool_->RunOrQueue([self] { self->RunSteps(); }).ok()) RunSteps();
  }

  void RunSteps() {
    const LogScope log({{"request_id", request_id_}, {"trace_id", trace_id_}});
    while (true) {
      Step step;
      {
        absl::MutexLock lock(&mutex_);
        if (steps_.empty()) {
          is_running_ = false;
          return;
        }
        step = std::move(steps_.front());
        steps_.pop_front();
      }
      if (is_finished_) continue;
      const absl::Status status = step();
      if (!status.ok() && failure_.ok() && !session_.has_result()) {
        failure_ = status;
        stop_.request_stop();
        session_.Abandon();
      }
      GoOn();
    }
  }

  // Behind each step: ends the call, or reads on.
  void GoOn() {
    if (failure_.ok() && !session_.has_result()) {
      if (!is_reading_ && session_.CanTake()) {
        is_reading_ = true;
        StartRead(&request_);
      }
      return;
    }
    if (!session_.IsIdle()) return;
    {
      absl::MutexLock lock(&mutex_);
      // After an error the message that is being written is the last one.
      if (!failure_.ok() && outbox_.size() > 1) outbox_.resize(1);
      if (!outbox_.empty()) return;
    }
    is_finished_ = true;
    grpc::ServerBidiReactor<SyncRequest, SyncResponse>::Finish(ToGrpcStatus(failure_));
  }

  void Send(SyncResponse response) {
    const SyncResponse* next = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      outbox_.push_back(std::move(response));
      if (outbox_.size() > 1) return;  // the one before is being written
      next = &outbox_.front();
    }
    StartWrite(next);
  }

  GrowingThreadPool* const pool_;
  const std::string request_id_;
  const std::string trace_id_;
  const absl::Time started_;
  const std::function<void()> ended_;
  std::stop_source stop_;
  std::shared_ptr<SyncReactor> self_;
  SyncRequest request_;  // gRPC's while is_reading_

  // Of the steps, which run one at a time.
  SyncSession session_;
  bool is_reading_ = true;
  bool is_finished_ = false;
  absl::Status failure_;

  absl::Mutex mutex_;
  std::deque<Step> steps_ ABSL_GUARDED_BY(mutex_);
  bool is_running_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<SyncResponse> outbox_ ABSL_GUARDED_BY(mutex_);  // gRPC writes the first
};

}  // namespace

grpc::ServerBidiReactor<SyncRequest, SyncResponse>* NewSyncReactor(const SyncParts& parts,
                                                                   GrowingThreadPool* pool,
                                                                   const CallContext& context,
                                                                   std::function<void()> ended) {
  const auto reactor = std::make_shared<SyncReactor>(parts, pool, context, std::move(ended));
  SyncReactor* const raw = reactor.get();
  reactor->Start();
  return raw;
}

}  // namespace contree
