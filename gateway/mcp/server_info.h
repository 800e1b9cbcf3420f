#ifndef GATEWAY_MCP_SERVER_INFO_H_
#define GATEWAY_MCP_SERVER_INFO_H_

// What the server says it is.

#include "absl/strings/string_view.h"

namespace contree::gateway {

inline constexpr absl::string_view kServerName = "contree-mcp";
inline constexpr absl::string_view kServerVersion = "0.1.0";

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_SERVER_INFO_H_
