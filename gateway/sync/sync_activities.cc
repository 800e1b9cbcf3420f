#include "gateway/sync/sync_activities.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace contree::gateway {

SyncActivities::Ongoing::~Ongoing() { End(absl::CancelledError("it was given up"), absl::Now()); }

void SyncActivities::Ongoing::Report(const SyncProgress& progress) {
  const absl::MutexLock lock(&activities_.mutex_);
  activity_->progress = progress;
}

void SyncActivities::Ongoing::End(const absl::StatusOr<sync::v1::SyncResult>& result,
                                  absl::Time now) {
  const absl::MutexLock lock(&activities_.mutex_);
  if (activity_->ended != absl::InfiniteFuture()) return;
  activity_->ended = now;
  activity_->status = result.status();
  if (result.ok()) activity_->result = *result;
}

std::unique_ptr<SyncActivities::Ongoing> SyncActivities::Begin(const CallContext& context,
                                                               const std::string& source,
                                                               const std::string& destination,
                                                               absl::Time now) {
  auto activity = std::make_shared<SyncActivity>();
  activity->principal = context.principal;
  activity->source = source;
  activity->destination = destination;
  activity->began = now;
  const absl::MutexLock lock(&mutex_);
  activity->number = ++last_number_;
  const auto found =
      std::find_if(tenants_.begin(), tenants_.end(),
                   [&context](const OfTenant& one) { return one.tenant == context.tenant; });
  if (found == tenants_.end()) {
    tenants_.push_front({.tenant = context.tenant, .activities = {}});
    if (tenants_.size() > kMaxTenants) tenants_.pop_back();
  } else {
    tenants_.splice(tenants_.begin(), tenants_, found);
  }
  std::deque<std::shared_ptr<SyncActivity>>& activities = tenants_.front().activities;
  activities.push_front(activity);
  if (activities.size() > kMaxPerTenant) activities.pop_back();
  return std::make_unique<Ongoing>(*this, std::move(activity));
}

std::vector<SyncActivity> SyncActivities::List(absl::string_view tenant) const {
  std::vector<SyncActivity> list;
  const absl::MutexLock lock(&mutex_);
  for (const OfTenant& one : tenants_) {
    if (one.tenant != tenant) continue;
    for (const auto& activity : one.activities) list.push_back(*activity);
  }
  return list;
}

}  // namespace contree::gateway
