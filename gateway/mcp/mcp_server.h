#ifndef GATEWAY_MCP_MCP_SERVER_H_
#define GATEWAY_MCP_MCP_SERVER_H_

// MCP's methods, of every revision. Knows neither transports nor connections: one request in, its
// result out.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/auth/identity.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/client_capabilities.h"
#include "gateway/mcp/input_required.h"
#include "gateway/mcp/log_level.h"
#include "gateway/mcp/protocol_version.h"
#include "gateway/mcp/request_context.h"
#include "gateway/mcp/server_info.h"
#include "gateway/mcp/text_sealer.h"

namespace contree::gateway {

class ToolRegistry;
class ResourceRegistry;
class PromptRegistry;
class CompletionRegistry;
struct CacheHints;

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

// What a conversation of the earlier era has agreed on: initialize and logging/setLevel say it.
struct Negotiated {
  std::string version{kNewestSessionVersion};
  ClientCapabilities client = {};
  LogLevel log_level = LogLevel::kInfo;

  friend bool operator==(const Negotiated&, const Negotiated&) = default;
};

// What came of a request.
struct HandledRequest {
  std::string result_json = "";
  // Instead of a result (see input_required.h).
  std::optional<InputRequired> input_required = std::nullopt;
  // What the conversation has agreed on from now on.
  std::optional<Negotiated> negotiated = std::nullopt;
};

// Thread-safe.
class McpServer {
 public:
  // `sealer` seals what clients keep for the server; it must outlive this.
  McpServer(const Catalog& catalog, const TextSealer& sealer);

  Effort EffortOf(const Message& request) const;
  // What a caller needs for it: kRun for tools that are not read-only, kRead for all else.
  Scope ScopeOf(const Message& request) const;
  const Catalog& catalog() const { return catalog_; }
  const TextSealer& sealer() const { return sealer_; }

  // `negotiated` is what holds so far, of Era::kSessions. The errors are those of jsonrpc/error.h,
  // with the codes of the request's era.
  absl::StatusOr<HandledRequest> Handle(Message& request, const Negotiated& negotiated,
                                        RequestContext& context) const;

 private:
  struct Method;
  struct Call {
    Message& request;
    const Negotiated& negotiated;
    RequestContext& context;
  };
  using Handler = absl::StatusOr<HandledRequest> (McpServer::*)(const Call& call) const;

  static const Method* FindMethod(absl::string_view name);

  absl::StatusOr<HandledRequest> Discover(const Call& call) const;
  absl::StatusOr<HandledRequest> Initialize(const Call& call) const;
  absl::StatusOr<HandledRequest> Ping(const Call& call) const;
  absl::StatusOr<HandledRequest> SetLogLevel(const Call& call) const;
  absl::StatusOr<HandledRequest> ListTools(const Call& call) const;
  absl::StatusOr<HandledRequest> CallTool(const Call& call) const;
  absl::StatusOr<HandledRequest> ListResources(const Call& call) const;
  absl::StatusOr<HandledRequest> ListResourceTemplates(const Call& call) const;
  absl::StatusOr<HandledRequest> ReadResource(const Call& call) const;
  absl::StatusOr<HandledRequest> ListPrompts(const Call& call) const;
  absl::StatusOr<HandledRequest> GetPrompt(const Call& call) const;
  absl::StatusOr<HandledRequest> Complete(const Call& call) const;

  std::string CapabilitiesJson(const RequestContext& context) const;
  // The result in the form of the request's era: `json` is an object.
  HandledRequest Result(const Call& call, std::string json) const;
  HandledRequest CacheableResult(const Call& call, std::string json, const CacheHints& hints) const;

  const Catalog catalog_;
  const TextSealer& sealer_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_MCP_SERVER_H_
