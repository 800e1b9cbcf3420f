#include "contree-service/operations/followed_operation.h"

#include <algorithm>
#include <vector>

namespace contree {
namespace {

// What an event without text costs, roughly.
constexpr size_t kEventBytes = 128;

size_t SizeOf(const v1::OperationEvent& event) { return kEventBytes + event.ByteSizeLong(); }

}  // namespace

void FollowedOperation::Add(v1::OperationEvent event) {
  std::vector<std::shared_ptr<const OnChange>> to_tell;
  {
    absl::MutexLock lock(&mutex_);
    log_bytes_ += SizeOf(event);
    log_.emplace_back(next_sequence_++,
                      std::make_shared<const v1::OperationEvent>(std::move(event)));
    // Whoever keeps up has read the oldest output long ago; whoever comes late gets it with the
    // final record.
    for (auto entry = log_.begin(); log_bytes_ > max_log_bytes_ && entry != log_.end();) {
      if (!entry->second->has_output() || entry->first + 1 == next_sequence_) {
        ++entry;
        continue;
      }
      log_bytes_ -= SizeOf(*entry->second);
      entry = log_.erase(entry);
    }
    for (const auto& [number, watcher] : watchers_) {
      if (!watcher.only_the_end) to_tell.push_back(watcher.on_change);
    }
  }
  for (const auto& on_change : to_tell) (*on_change)();
}

void FollowedOperation::End(absl::Status status) {
  std::vector<std::shared_ptr<const OnChange>> to_tell;
  {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    ended_ = true;
    end_status_ = std::move(status);
    for (const auto& [number, watcher] : watchers_) to_tell.push_back(watcher.on_change);
  }
  for (const auto& on_change : to_tell) (*on_change)();
}

bool FollowedOperation::HasRecord() const {
  absl::MutexLock lock(&mutex_);
  return !log_.empty() && log_.back().second->has_completed();
}

size_t FollowedOperation::log_bytes() const {
  absl::MutexLock lock(&mutex_);
  return log_bytes_;
}

bool FollowedOperation::Join(uint64_t watcher, OnChange on_change, bool only_the_end) {
  absl::MutexLock lock(&mutex_);
  if (ended_ ? !end_status_.ok() : abandoned_) return false;
  watchers_[watcher] = {.on_change = std::make_shared<const OnChange>(std::move(on_change)),
                        .only_the_end = only_the_end};
  return true;
}

bool FollowedOperation::Keep() {
  absl::MutexLock lock(&mutex_);
  if (ended_ ? !end_status_.ok() : abandoned_) return false;
  kept_ = true;
  return true;
}

void FollowedOperation::Leave(uint64_t watcher) {
  {
    absl::MutexLock lock(&mutex_);
    watchers_.erase(watcher);
    if (!watchers_.empty() || kept_ || ended_) return;
    abandoned_ = true;
  }
  stop_.request_stop();  // runs callbacks, so not under the lock
}

FollowedOperation::Step FollowedOperation::Next(uint64_t* cursor) const {
  absl::MutexLock lock(&mutex_);
  const auto found =
      std::lower_bound(log_.begin(), log_.end(), *cursor,
                       [](const auto& entry, uint64_t sequence) { return entry.first < sequence; });
  if (found != log_.end()) {
    *cursor = found->first + 1;
    return {.kind = Step::kEvent, .event = found->second};
  }
  if (ended_) return {.kind = Step::kEnded, .status = end_status_};
  return {.kind = Step::kNothingYet};
}

FollowedOperation::Step FollowedOperation::Final() const {
  absl::MutexLock lock(&mutex_);
  if (!ended_) return {.kind = Step::kNothingYet};
  if (!end_status_.ok()) return {.kind = Step::kEnded, .status = end_status_};
  return {.kind = Step::kEvent, .event = log_.back().second};
}

}  // namespace contree
