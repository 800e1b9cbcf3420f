#ifndef GATEWAY_MCP_INSTRUCTIONS_H_
#define GATEWAY_MCP_INSTRUCTIONS_H_

// The page that a client gives its agent before the first call. It teaches only tools that exist.

#include "absl/strings/string_view.h"

namespace contree::gateway {

extern const absl::string_view kInstructions;

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_INSTRUCTIONS_H_
