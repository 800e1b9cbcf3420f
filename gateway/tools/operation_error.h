#ifndef GATEWAY_TOOLS_OPERATION_ERROR_H_
#define GATEWAY_TOOLS_OPERATION_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree::gateway {

// An error about an operation always names it: puts "operation ID: " in front of a message that
// does not hold the id yet. OK stays OK.
absl::Status NameOperation(const absl::Status& status, absl::string_view operation_id);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_OPERATION_ERROR_H_
