#ifndef GATEWAY_RESOURCES_OPERATION_WATCH_H_
#define GATEWAY_RESOURCES_OPERATION_WATCH_H_

// Being told when an operation's record changes, without a thread that waits.

#include <memory>
#include <string>

#include "common/rpc/call_context.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "gateway/resources/resource.h"

namespace contree::gateway {

// Follows the operation's event stream on gRPC's own threads: `on_change` is called for each change
// of its state and, finally, for its end. A stream that breaks is taken up again, with growing
// pauses; where the service refuses to follow it (there is no such operation), the watch just stays
// silent. Of `context` only the identity counts: a watch lasts until it is destroyed. `stub` must
// outlive it.
std::unique_ptr<ResourceWatch> WatchOperationResource(
    contree::v1::ContreeService::StubInterface& stub, const std::string& operation_id,
    const CallContext& context, ResourceChanged on_change);

}  // namespace contree::gateway

#endif  // GATEWAY_RESOURCES_OPERATION_WATCH_H_
