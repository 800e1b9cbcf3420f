#ifndef GATEWAY_TOOLS_FOLLOW_OPERATION_H_
#define GATEWAY_TOOLS_FOLLOW_OPERATION_H_

// Waiting for operations through the event streams of contree-service. A stream that breaks is
// taken up again where it ended. Ending the wait never touches the operations.

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree/v1/contree_service.grpc.pb.h"

namespace contree::gateway {

// Returns the final record; `on_event` sees each event before it once. Every error names the
// operation. NotFound: no such operation. DeadlineExceeded and Cancelled: `context` ended first.
// Unavailable: the service stayed away.
absl::StatusOr<contree::v1::Operation> FollowOperation(
    contree::v1::ContreeService::StubInterface& stub, Clock& clock, const std::string& operation_id,
    const CallContext& context,
    absl::FunctionRef<void(const contree::v1::OperationEvent&)> on_event);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_FOLLOW_OPERATION_H_
