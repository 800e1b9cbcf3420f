#ifndef SYNC_SERVICE_DIRECTORY_STATE_HANDLERS_H_
#define SYNC_SERVICE_DIRECTORY_STATE_HANDLERS_H_

// What a stored directory state puts into a container. The errors are those of the proto.

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "sync-service/platform_files.h"
#include "sync-service/store/state_store.h"
#include "sync-service/store/sync_cache.h"

namespace contree {

// Thread-safe.
class DirectoryStateHandlers {
 public:
  // All must outlive it.
  DirectoryStateHandlers(SyncCache* cache, StateStore* states, const PlatformFiles* platform,
                         Clock* clock)
      : cache_(cache), states_(states), platform_(platform), clock_(clock) {}

  // A sink's own error ends it and is returned. Nothing is handed out unless the platform has all
  // files of the state, as far as is known; what the cache does not know of is looked for.
  absl::Status GetDirectoryState(
      const sync::v1::GetDirectoryStateRequest& request, const CallContext& context,
      absl::FunctionRef<absl::Status(const sync::v1::GetDirectoryStateResponse&, bool is_last)>
          sink);

 private:
  using Contents = std::vector<DirectoryContent>;  // of the state's directories

  absl::StatusOr<Contents> ReadContents(const SyncScope& scope, const DirectoryState& state,
                                        absl::string_view id);
  // The platform's ids by SHA-256.
  absl::StatusOr<absl::flat_hash_map<std::string, std::string>> FindBlobs(
      const SyncScope& scope, const DirectoryState& state, const Contents& contents,
      const sync::v1::GetDirectoryStateRequest& request, const CallContext& context);

  SyncCache* const cache_;
  StateStore* const states_;
  const PlatformFiles* const platform_;
  Clock* const clock_;
};

}  // namespace contree

#endif  // SYNC_SERVICE_DIRECTORY_STATE_HANDLERS_H_
