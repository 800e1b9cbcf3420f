#ifndef GATEWAY_MCP_MCP_SERVER_H_
#define GATEWAY_MCP_MCP_SERVER_H_

// MCP's methods. Knows neither transports nor connections: one request in, its result out.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/request_context.h"
#include "gateway/mcp/server_info.h"

namespace contree::gateway {

class ToolRegistry;

// Whether this server speaks a revision of the protocol, as in initialize and in the header
// MCP-Protocol-Version.
bool IsSupportedProtocolVersion(absl::string_view version);

// How long a method may take, so that a transport can choose where to run it.
enum class Effort {
  kImmediate,  // computes only
  kShort,      // calls a service
  kWaits,      // may wait for minutes
};

// Thread-safe.
class McpServer {
 public:
  // `tools` must outlive it.
  explicit McpServer(const ToolRegistry& tools) : tools_(tools) {}

  Effort EffortOf(const Message& request) const;

  // The result as JSON. The errors are those of jsonrpc/error.h.
  absl::StatusOr<std::string> Handle(Message& request, RequestContext& context) const;

 private:
  struct Method;
  static const Method* FindMethod(absl::string_view name);

  absl::StatusOr<std::string> Initialize(Message& request, RequestContext& context) const;
  absl::StatusOr<std::string> Ping(Message& request, RequestContext& context) const;
  absl::StatusOr<std::string> ListTools(Message& request, RequestContext& context) const;
  absl::StatusOr<std::string> CallTool(Message& request, RequestContext& context) const;

  const ToolRegistry& tools_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_MCP_SERVER_H_
