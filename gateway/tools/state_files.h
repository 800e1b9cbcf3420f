#ifndef GATEWAY_TOOLS_STATE_FILES_H_
#define GATEWAY_TOOLS_STATE_FILES_H_

// The files of a directory state in a run.

#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "contree/v1/contree_service.pb.h"
#include "gateway/mcp/services.h"

namespace contree::gateway {

// Starts `request` with the files of the state in it besides its own, which win. Where the platform
// lacks one of them, it says to sync again; the next sync knows what to upload. NotFound: no such
// state. FailedPrecondition: the platform lacks files of it; no sync-service. Otherwise the errors
// of RunInstance.
absl::StatusOr<contree::v1::RunInstanceResponse> RunWithDirectoryState(
    const Services& services, const std::string& directory_state_id,
    const contree::v1::RunInstanceRequest& request, const CallContext& context);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_STATE_FILES_H_
