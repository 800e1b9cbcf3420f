#ifndef GATEWAY_SYNC_SYNC_ACTIVITIES_H_
#define GATEWAY_SYNC_SYNC_ACTIVITIES_H_

// The syncs of this gateway, going on and ended, for people to see. Kept in memory only: what a
// sync leaves behind is a directory state, of which sync-service knows.

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "gateway/sync/sync_conversation.h"

namespace contree::gateway {

struct SyncActivity {
  int64_t number = 0;  // of this gateway, from 1
  std::string principal;
  std::string source;       // as the caller named it
  std::string destination;  // likewise
  absl::Time began;
  absl::Time ended = absl::InfiniteFuture();  // infinite: it goes on
  SyncProgress progress;
  absl::Status status;          // how it ended
  sync::v1::SyncResult result;  // where it ended well
};

// Thread-safe.
class SyncActivities {
 public:
  // So many of each tenant are kept, and of so many tenants, those that synced last.
  static constexpr size_t kMaxPerTenant = 50;
  static constexpr size_t kMaxTenants = 1000;

  // One that goes on; it ends as Cancelled where nobody said how. Used by one thread, and outlived
  // by the activities.
  class Ongoing {
   public:
    Ongoing(SyncActivities& activities, std::shared_ptr<SyncActivity> activity)
        : activities_(activities), activity_(std::move(activity)) {}
    ~Ongoing();
    Ongoing(const Ongoing&) = delete;
    Ongoing& operator=(const Ongoing&) = delete;

    void Report(const SyncProgress& progress);
    void End(const absl::StatusOr<sync::v1::SyncResult>& result, absl::Time now);

   private:
    SyncActivities& activities_;
    const std::shared_ptr<SyncActivity> activity_;  // guarded by the activities' mutex_
  };

  std::unique_ptr<Ongoing> Begin(const CallContext& context, const std::string& source,
                                 const std::string& destination, absl::Time now);
  // The tenant's, the newest first.
  std::vector<SyncActivity> List(absl::string_view tenant) const;

 private:
  struct OfTenant {
    std::string tenant;
    std::deque<std::shared_ptr<SyncActivity>> activities;  // the newest first
  };

  mutable absl::Mutex mutex_;
  int64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<OfTenant> tenants_ ABSL_GUARDED_BY(mutex_);  // who synced last first
};

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_SYNC_ACTIVITIES_H_
