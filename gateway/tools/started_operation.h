#ifndef GATEWAY_TOOLS_STARTED_OPERATION_H_
#define GATEWAY_TOOLS_STARTED_OPERATION_H_

// What run and import_image have in common: an operation is started, and then waited for or not.

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {

// Calls `start`, which returns the operation's id, and waits until the operation has ended; without
// `wait` the output holds just the id. A client that cancels gets the operation cancelled too; for
// that its id has to be known, so `start` is given up only when nobody can read the answer any
// more. Waiting takes `timeout`, which is the operation's own, and a minute at most. Errors are
// those of `start`, or name the operation.
absl::StatusOr<ToolOutput> StartOperation(
    bool wait, absl::Duration timeout, RequestContext& context, const Services& services,
    absl::FunctionRef<absl::StatusOr<std::string>(const CallContext&)> start);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_STARTED_OPERATION_H_
