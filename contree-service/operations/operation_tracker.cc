#include "contree-service/operations/operation_tracker.h"

#include <stop_token>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace contree {

FollowedOperation::Step OperationWatch::Next() {
  while (true) {
    FollowedOperation::Step step = operation_->Next(&cursor_);
    if (step.kind == FollowedOperation::Step::kEvent && after_event_id_.has_value() &&
        !step.event->has_completed() && step.event->id() >= 0 &&
        step.event->id() <= *after_event_id_) {
      continue;
    }
    return step;
  }
}

OperationTracker::OperationTracker(const OperationTrackerOptions& options, ApiDirectory* apis,
                                   ContreeStore* store, HttpStreamLoop* streams, Clock* clock)
    : options_(options),
      threads_(options.max_threads),
      parts_({.apis = apis,
              .store = store,
              .clock = clock,
              .timers = &timers_,
              .streams = streams,
              .threads = &threads_,
              .on_final = options.on_final}) {}

OperationTracker::~OperationTracker() {
  Stop();
  absl::MutexLock lock(&live_mutex_);
  const auto none = [this]() ABSL_SHARED_LOCKS_REQUIRED(live_mutex_) { return live_ == 0; };
  live_mutex_.Await(absl::Condition(&none));
}

void OperationTracker::Stop() {
  std::vector<std::shared_ptr<FollowedOperation>> followed;
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (const auto& [key, operation] : operations_) followed.push_back(operation);
  }
  // Outside the lock: it runs callbacks. Each follower then ends by itself.
  for (const auto& operation : followed) operation->RequestStop();
}

size_t OperationTracker::followed_count() const {
  absl::MutexLock lock(&mutex_);
  return operations_.size() - ended_.size();
}

size_t OperationTracker::running_count(absl::string_view tenant) const {
  absl::MutexLock lock(&mutex_);
  size_t count = 0;
  for (const auto& [key, operation] : operations_) {
    if (key.first == tenant && !operation->HasRecord()) ++count;
  }
  return count;
}

absl::StatusOr<std::shared_ptr<FollowedOperation>> OperationTracker::FindOrFollow(
    const Key& key, absl::FunctionRef<bool(FollowedOperation&)> join) {
  absl::MutexLock lock(&mutex_);
  if (stopped_)
    return absl::UnavailableError(
        absl::StrCat("operation ", key.second, ": contree-service is stopping"));
  const auto known = operations_.find(key);
  if (known != operations_.end() && join(*known->second)) return known->second;
  if (operations_.size() >= options_.max_followed + ended_.size()) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "operation ", key.second, ": ", options_.max_followed, " operations are followed already"));
  }
  // Unknown, or its follower is on its way out: that one takes only itself out of the map.
  auto operation =
      std::make_shared<FollowedOperation>(key.first, key.second, options_.max_log_bytes);
  join(*operation);
  {
    absl::MutexLock live_lock(&live_mutex_);
    ++live_;
  }
  // Counts the follower until it is gone.
  const std::shared_ptr<void> alive(nullptr, [this](void*) {
    absl::MutexLock live_lock(&live_mutex_);
    --live_;
  });
  const auto follower = std::make_shared<OperationFollower>(
      options_.follow, parts_, operation,
      [this, key, operation, alive] { OnEnded(key, operation); });
  if (const absl::Status started = follower->Start(); !started.ok()) {
    return absl::Status(started.code(),
                        absl::StrCat("operation ", key.second, ": ", started.message()));
  }
  operations_[key] = operation;
  return operation;
}

void OperationTracker::OnEnded(const Key& key,
                               const std::shared_ptr<FollowedOperation>& operation) {
  std::vector<std::shared_ptr<FollowedOperation>> dropped;  // freed after the lock is gone
  absl::MutexLock lock(&mutex_);
  const auto found = operations_.find(key);
  if (found == operations_.end() || found->second != operation) return;
  // Without a record there is nothing to keep: the next one to ask begins anew.
  const size_t bytes = operation->log_bytes();
  if (!operation->HasRecord()) {
    operations_.erase(found);
    return;
  }
  ended_.push_back({.key = key, .operation = operation, .bytes = bytes});
  ended_bytes_ += bytes;
  while (ended_.size() > options_.max_ended || ended_bytes_ > options_.max_ended_bytes) {
    Ended& oldest = ended_.front();
    ended_bytes_ -= oldest.bytes;
    const auto entry = operations_.find(oldest.key);
    if (entry != operations_.end() && entry->second == oldest.operation) operations_.erase(entry);
    dropped.push_back(std::move(oldest.operation));
    ended_.pop_front();
  }
}

absl::Status OperationTracker::Follow(const std::string& tenant, const std::string& id) {
  return FindOrFollow({tenant, id}, [](FollowedOperation& operation) { return operation.Keep(); })
      .status();
}

absl::StatusOr<std::unique_ptr<OperationWatch>> OperationTracker::Watch(
    const std::string& tenant, const std::string& id, std::optional<int64_t> after_event_id,
    bool only_the_end, FollowedOperation::OnChange on_change) {
  uint64_t number = 0;
  {
    absl::MutexLock lock(&mutex_);
    number = next_watcher_++;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<FollowedOperation> operation,
                   FindOrFollow({tenant, id}, [&](FollowedOperation& operation) {
                     return operation.Join(number, on_change, only_the_end);
                   }));
  return std::make_unique<OperationWatch>(std::move(operation), number, after_event_id);
}

absl::StatusOr<v1::Operation> OperationTracker::AwaitFinal(const std::string& id,
                                                           const CallContext& context) {
  // Shared with callbacks that may come after this has returned.
  struct Waiting {
    absl::Mutex mutex;
    bool changed ABSL_GUARDED_BY(mutex) = false;
    void Tell() {
      absl::MutexLock lock(&mutex);
      changed = true;
    }
  };
  const auto waiting = std::make_shared<Waiting>();
  ASSIGN_OR_RETURN(const std::unique_ptr<OperationWatch> watch,
                   Watch(context.tenant, id, std::nullopt, /*only_the_end=*/true,
                         [waiting] { waiting->Tell(); }));
  const std::stop_callback on_stop(context.stop, [waiting] { waiting->Tell(); });
  while (true) {
    const FollowedOperation::Step step = watch->Final();
    if (step.kind == FollowedOperation::Step::kEvent) return step.event->completed();
    if (step.kind == FollowedOperation::Step::kEnded) return step.status;
    if (context.stop.stop_requested()) {
      return absl::CancelledError(
          absl::StrCat("operation ", id, " goes on; the waiting for it was cancelled"));
    }
    absl::MutexLock lock(&waiting->mutex);
    if (!waiting->mutex.AwaitWithDeadline(absl::Condition(&waiting->changed), context.deadline)) {
      return absl::DeadlineExceededError(
          absl::StrCat("operation ", id, " was not final before the deadline; it goes on"));
    }
    waiting->changed = false;
  }
}

}  // namespace contree
