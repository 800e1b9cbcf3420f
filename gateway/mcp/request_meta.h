#ifndef GATEWAY_MCP_REQUEST_META_H_
#define GATEWAY_MCP_REQUEST_META_H_

// What a request says about itself: in params._meta and, over HTTP, in the header
// MCP-Protocol-Version. It decides by which revision the request is served.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/rpc/trace_context.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/client_capabilities.h"
#include "gateway/mcp/log_level.h"
#include "gateway/mcp/protocol_version.h"

namespace contree::gateway {

struct RequestMeta {
  Era era = Era::kSessions;
  // Of Era::kStateless only; in the other one initialize has said it.
  ClientCapabilities client = {};
  std::optional<LogLevel> log_level = std::nullopt;

  std::optional<std::string> progress_token_json = std::nullopt;
  TraceContext trace = {};
};

// A request is of Era::kStateless if its _meta names a version that is not of the earlier era, or
// it names none but the header does, or its method exists only there. An initialize without such a
// _meta is always of the earlier era, whatever the header: clients try both in turn.
//
// `http_version`: the header, or nullptr on a transport without headers. Its pointee is nullopt
// where the request has none.
//
// UnsupportedVersion, and of Era::kStateless HeaderMismatch (over HTTP, where header and _meta do
// not say the same) and InvalidParams (what _meta must have is missing or malformed): see
// jsonrpc/error.h.
absl::StatusOr<RequestMeta> ReadRequestMeta(const Message& request,
                                            const std::optional<std::string>* http_version);

// UnsupportedVersion with its data.
absl::Status UnsupportedProtocolVersion(absl::string_view requested);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_REQUEST_META_H_
