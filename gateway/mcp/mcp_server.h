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
class ResourceRegistry;
class PromptRegistry;
class CompletionRegistry;

// Whether this server speaks a revision of the protocol, as in initialize and in the header
// MCP-Protocol-Version.
bool IsSupportedProtocolVersion(absl::string_view version);

// How long a method may take, so that a transport can choose where to run it.
enum class Effort {
  kImmediate,  // computes only
  kShort,      // calls a service
  kWaits,      // may wait for minutes
};

// What a server offers. All of it must outlive the server.
struct Catalog {
  const ToolRegistry& tools;
  const ResourceRegistry& resources;
  const PromptRegistry& prompts;
  const CompletionRegistry& completions;
};

// Thread-safe.
class McpServer {
 public:
  explicit McpServer(const Catalog& catalog) : catalog_(catalog) {}

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
  absl::StatusOr<std::string> ListResources(Message& request, RequestContext& context) const;
  absl::StatusOr<std::string> ListResourceTemplates(Message& request,
                                                    RequestContext& context) const;
  absl::StatusOr<std::string> ReadResource(Message& request, RequestContext& context) const;
  absl::StatusOr<std::string> ListPrompts(Message& request, RequestContext& context) const;
  absl::StatusOr<std::string> GetPrompt(Message& request, RequestContext& context) const;
  absl::StatusOr<std::string> Complete(Message& request, RequestContext& context) const;

  const Catalog catalog_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_MCP_SERVER_H_
