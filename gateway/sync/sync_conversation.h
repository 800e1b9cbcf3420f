#ifndef GATEWAY_SYNC_SYNC_CONVERSATION_H_
#define GATEWAY_SYNC_SYNC_CONVERSATION_H_

// One sync of a tree with sync-service: the walker's side of SyncService.Sync. Files are hashed on
// two threads and sent on a third, while the service already stores what came; whatever the tree's
// size, some megabytes are on their way at most.

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "gateway/sync/omissions.h"
#include "gateway/sync/tree.h"

namespace contree::gateway {

// What SyncBegin says besides the tree's digest.
struct SyncTarget {
  std::string source;
  std::string view;
  std::string destination;
  bool is_watched = false;
};

// Of what was asked for so far; totals grow while the service compares.
struct SyncProgress {
  int64_t files_to_hash = 0;
  int64_t files_hashed = 0;
  int64_t bytes_to_hash = 0;
  int64_t bytes_hashed = 0;
  int64_t files_to_send = 0;
  int64_t files_sent = 0;
  int64_t bytes_to_send = 0;
  int64_t bytes_sent = 0;
};

struct SyncOutcome {
  sync::v1::SyncResult result;
  Omissions omissions = {};   // files that could not be read, or did not settle
  bool told_changes = false;  // some files were not as the tree has them any more
};

// `report` is called on this thread, some times a second, while something is being done. Errors are
// the service's; Internal: it asks for what makes no sense.
absl::StatusOr<SyncOutcome> HoldSyncConversation(
    sync::v1::SyncService::StubInterface& service, const Tree& tree, const SyncTarget& target,
    const CallContext& context, absl::FunctionRef<void(const SyncProgress&)> report);

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_SYNC_CONVERSATION_H_
