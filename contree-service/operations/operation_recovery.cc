#include "contree-service/operations/operation_recovery.h"

#include <map>
#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/retry/backoff.h"
#include "common/rpc/call_context.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"

namespace contree {
namespace {

// A command runs for at most an hour, an import too; the rest is waiting for its turn.
constexpr absl::Duration kMaxAge = absl::Hours(24);
// Half of what the tracker follows at once: new operations find room.
constexpr int kMaxRecovered = 2048;
// How long an embedded backend may take to come up.
constexpr absl::Duration kEndpointTimeout = absl::Seconds(60);
constexpr BackoffPolicy kAskAgain = {
    .first = absl::Seconds(1), .largest = absl::Minutes(1), .factor = 2, .jitter = 0.3};

bool IsTransient(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

OperationRecovery::OperationRecovery(ApiDirectory* apis, ContreeStore* store,
                                     OperationTracker* tracker, Clock* clock)
    : apis_(apis),
      store_(store),
      tracker_(tracker),
      clock_(clock),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

absl::Status OperationRecovery::Recover(const std::string& tenant,
                                        const std::vector<ContreeStore::Unfinished>& unfinished,
                                        const std::stop_token& stop) {
  CallContext context;
  context.deadline = clock_->Now() + kEndpointTimeout;
  context.tenant = tenant;
  context.request_id = NewUuidV7(clock_->Now());
  context.stop = stop;
  const auto api = apis_->ApiFor(context);
  if (!api.ok()) return api.status();
  int followed = 0;
  for (const ContreeStore::Unfinished& operation : unfinished) {
    if (operation.scope.platform != api->platform()) continue;
    const absl::Status status = tracker_->Follow(tenant, operation.id);
    if (!status.ok()) return absl::FailedPreconditionError(status.message());
    ++followed;
  }
  LogInfo("operations are followed again", {{"count", absl::StrCat(followed)}});
  return absl::OkStatus();
}

void OperationRecovery::Run(const std::stop_token& stop) {
  const auto unfinished = store_->FindUnfinished(clock_->Now() - kMaxAge, kMaxRecovered);
  if (!unfinished.ok()) {
    LogError("unfinished operations cannot be read from the store",
             {{"error", std::string(unfinished.status().message())}});
    return;
  }
  std::map<std::string, std::vector<ContreeStore::Unfinished>> by_tenant;
  for (const ContreeStore::Unfinished& operation : *unfinished)
    by_tenant[operation.scope.tenant].push_back(operation);
  Backoff pauses(kAskAgain);
  while (!by_tenant.empty() && !stop.stop_requested()) {
    for (auto tenant = by_tenant.begin(); tenant != by_tenant.end();) {
      const absl::Status status = Recover(tenant->first, tenant->second, stop);
      if (stop.stop_requested()) return;
      if (!status.ok()) {
        LogWarning("unfinished operations are not followed yet",
                   {{"error", std::string(status.message())},
                    {"asked_again", IsTransient(status) ? "yes" : "no"}});
      }
      tenant = IsTransient(status) ? std::next(tenant) : by_tenant.erase(tenant);
    }
    if (!by_tenant.empty()) clock_->Sleep(pauses.Next(), stop);
  }
}

}  // namespace contree
