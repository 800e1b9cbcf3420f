#include "contree-service/watch_reactors.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/rpc/call_log.h"
#include "common/status/grpc_status.h"
#include "common/telemetry/log_scope.h"
#include "common/telemetry/logging.h"
#include "contree-service/request_checks.h"

namespace contree {
namespace {

constexpr int kMaxWatched = 1000;

// Writes what Next gives, one message at a time, until it ends or the caller leaves.
//
// It holds itself until OnDone; callbacks of the tracker hold it too, so that one which comes late
// finds it alive. The mutex is never held while gRPC or the tracker's callbacks run: Finish may run
// OnDone on this very stack.
template <typename Response>
class WatchReactor : public grpc::ServerWriteReactor<Response>,
                     public std::enable_shared_from_this<WatchReactor<Response>> {
 public:
  struct Next {
    enum Kind { kMessage, kNothingYet, kEnd } kind = kNothingYet;
    Response message = {};
    absl::Status status = absl::OkStatus();
  };

  WatchReactor(const char* method, const CallContext& context)
      : method_(method),
        request_id_(context.request_id),
        trace_id_(TraceIdOf(context.trace.traceparent)),
        started_(absl::Now()) {}

  // Moves forward as far as it goes. From any thread.
  void Push() {
    std::optional<grpc::Status> end;
    {
      absl::MutexLock lock(&mutex_);
      if (!started_up_ || writing_ || finished_) return;
      if (cancelled_) {
        finished_ = true;
        end = ToGrpcStatus(absl::CancelledError("the caller left"));
      } else {
        Next next = TakeNext();
        if (next.kind == Next::kNothingYet) return;
        if (next.kind == Next::kEnd) {
          finished_ = true;
          end = ToGrpcStatus(next.status);
        } else {
          writing_ = true;
          message_ = std::move(next.message);
        }
      }
    }
    if (end.has_value()) {
      code_ = end->error_code();
      this->Finish(*std::move(end));
    } else {
      this->StartWrite(&message_);
    }
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_ = false;
      if (!ok) cancelled_ = true;
    }
    Push();
  }

  void OnCancel() override {
    {
      absl::MutexLock lock(&mutex_);
      cancelled_ = true;
    }
    Push();
  }

  void OnDone() override {
    const LogScope log({{"request_id", request_id_}, {"trace_id", trace_id_}});
    LogInfo("rpc",
            {{"method", method_},
             {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(code_))},
             {"milliseconds", absl::StrCat(absl::ToInt64Milliseconds(absl::Now() - started_))}});
    const std::shared_ptr<WatchReactor> last =
        std::move(self_);  // goes with all else at the very end
  }

 protected:
  // What comes next; called under the mutex, one call at a time.
  virtual Next TakeNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) = 0;

  // Ends the call before it began, or lets it begin. The reactor holds itself from here on.
  void StartUp(const absl::Status& status) {
    self_ = this->shared_from_this();
    if (!status.ok()) {
      code_ = static_cast<grpc::StatusCode>(status.code());
      {
        absl::MutexLock lock(&mutex_);
        finished_ = true;
      }
      this->Finish(ToGrpcStatus(status));
      return;
    }
    {
      absl::MutexLock lock(&mutex_);
      started_up_ = true;
    }
    Push();
  }

  absl::Mutex mutex_;

 private:
  const char* const method_;
  const std::string request_id_;
  const std::string trace_id_;
  const absl::Time started_;
  grpc::StatusCode code_ = grpc::StatusCode::OK;  // written before Finish, read after
  std::shared_ptr<WatchReactor> self_;
  Response message_;  // gRPC's while writing_
  bool started_up_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

class WatchOperationReactor final : public WatchReactor<v1::WatchOperationResponse> {
 public:
  explicit WatchOperationReactor(const CallContext& context)
      : WatchReactor("WatchOperation", context) {}

  void Start(OperationTracker* tracker, const v1::WatchOperationRequest& request,
             const CallContext& context) {
    absl::Status status = CheckOperationId(request.operation_id());
    if (status.ok()) {
      const auto after = request.has_after_event_id()
                             ? std::optional<int64_t>(request.after_event_id())
                             : std::nullopt;
      auto watch =
          tracker->Watch(context.tenant, request.operation_id(), after, /*only_the_end=*/false,
                         [self = shared_from_this()] { self->Push(); });
      status = watch.status();
      if (watch.ok()) {
        absl::MutexLock lock(&mutex_);
        watch_ = *std::move(watch);
      }
    }
    StartUp(status);
  }

  void OnDone() override {
    std::unique_ptr<OperationWatch> watch;
    {
      absl::MutexLock lock(&mutex_);
      watch = std::move(watch_);
    }
    watch.reset();  // leaves, and with it goes the callback that holds this
    WatchReactor::OnDone();
  }

 private:
  Next TakeNext() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (watch_ == nullptr) return {};
    FollowedOperation::Step step = watch_->Next();
    if (step.kind == FollowedOperation::Step::kNothingYet) return {};
    if (step.kind == FollowedOperation::Step::kEnded)
      return {.kind = Next::kEnd, .status = std::move(step.status)};
    Next next = {.kind = Next::kMessage};
    *next.message.mutable_event() = *step.event;
    return next;
  }

  std::unique_ptr<OperationWatch> watch_ ABSL_GUARDED_BY(mutex_);
};

class WatchOperationsReactor final : public WatchReactor<v1::WatchOperationsResponse> {
 public:
  explicit WatchOperationsReactor(const CallContext& context)
      : WatchReactor("WatchOperations", context) {}

  void Start(OperationTracker* tracker, const v1::WatchOperationsRequest& request,
             const CallContext& context) {
    if (request.operation_ids().empty() || request.operation_ids_size() > kMaxWatched) {
      StartUp(absl::InvalidArgumentError(absl::StrCat(
          "operation_ids holds ", request.operation_ids_size(), " ids: give 1 to ", kMaxWatched)));
      return;
    }
    std::vector<Watched> watched;
    absl::flat_hash_set<std::string> seen;
    for (const std::string& id : request.operation_ids()) {
      if (!seen.insert(id).second) continue;
      const size_t index = watched.size();
      Watched& one = watched.emplace_back();
      one.id = id;
      one.failure = CheckOperationId(id);
      if (!one.failure.ok()) continue;
      auto watch = tracker->Watch(
          context.tenant, id, std::nullopt, /*only_the_end=*/true,
          [self = std::static_pointer_cast<WatchOperationsReactor>(shared_from_this()), index] {
            self->MarkChanged(index);
          });
      one.failure = watch.status();
      if (watch.ok()) one.watch = *std::move(watch);
    }
    {
      absl::MutexLock lock(&mutex_);
      any_ = request.mode() == v1::WATCH_MODE_ANY;
      pending_ = watched.size();
      watched_ = std::move(watched);
      // Whatever ended before now is found by looking once at each.
      for (size_t index = 0; index < watched_.size(); ++index) changed_.push_back(index);
    }
    StartUp(absl::OkStatus());
  }

  void OnDone() override {
    std::vector<Watched> watched;
    {
      absl::MutexLock lock(&mutex_);
      watched.swap(watched_);
    }
    watched.clear();  // leaves them all
    WatchReactor::OnDone();
  }

 private:
  struct Watched {
    std::string id;
    std::unique_ptr<OperationWatch> watch;
    absl::Status failure;  // why it could not be watched at all
    bool answered = false;
  };

  void MarkChanged(size_t index) {
    {
      absl::MutexLock lock(&mutex_);
      changed_.push_back(index);
    }
    Push();
  }

  Next TakeNext() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (pending_ == 0 || (any_ && answered_ > 0)) return {.kind = Next::kEnd};
    while (!changed_.empty()) {
      const size_t index = changed_.back();
      changed_.pop_back();
      if (index >= watched_.size() || watched_[index].answered) continue;
      Watched& one = watched_[index];
      Next next = {.kind = Next::kMessage};
      next.message.set_operation_id(one.id);
      absl::Status failure = one.failure;
      if (one.watch != nullptr) {
        FollowedOperation::Step step = one.watch->Final();
        if (step.kind == FollowedOperation::Step::kNothingYet) continue;
        failure = step.status;
        if (step.kind == FollowedOperation::Step::kEvent) {
          *next.message.mutable_operation() = step.event->completed();
          ++answered_;
        }
      }
      if (!failure.ok()) {
        next.message.mutable_error()->set_code(static_cast<int>(failure.code()));
        next.message.mutable_error()->set_message(std::string(failure.message()));
      }
      one.answered = true;
      --pending_;
      return next;
    }
    return {};
  }

  std::vector<Watched> watched_ ABSL_GUARDED_BY(mutex_);
  std::vector<size_t> changed_ ABSL_GUARDED_BY(mutex_);
  size_t pending_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t answered_ ABSL_GUARDED_BY(mutex_) = 0;  // with a record
  bool any_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchOperationResponse>* NewWatchOperationReactor(
    OperationTracker* tracker, const v1::WatchOperationRequest& request,
    const CallContext& context) {
  const auto reactor = std::make_shared<WatchOperationReactor>(context);
  WatchOperationReactor* const raw = reactor.get();
  reactor->Start(tracker, request, context);
  return raw;
}

grpc::ServerWriteReactor<v1::WatchOperationsResponse>* NewWatchOperationsReactor(
    OperationTracker* tracker, const v1::WatchOperationsRequest& request,
    const CallContext& context) {
  const auto reactor = std::make_shared<WatchOperationsReactor>(context);
  WatchOperationsReactor* const raw = reactor.get();
  reactor->Start(tracker, request, context);
  return raw;
}

}  // namespace contree
