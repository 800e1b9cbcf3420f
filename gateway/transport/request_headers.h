#ifndef GATEWAY_TRANSPORT_REQUEST_HEADERS_H_
#define GATEWAY_TRANSPORT_REQUEST_HEADERS_H_

// The headers in which a client of 2026-07-28 repeats what its request says, so that what stands
// between can route it unread. A server has to see that they tell the truth. Thread-safe.

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "gateway/jsonrpc/message.h"

namespace contree::gateway {

struct RequestHeaders {
  std::optional<std::string> method = std::nullopt;  // Mcp-Method
  std::optional<std::string> name =
      std::nullopt;  // Mcp-Name, as it was sent: plain or =?base64?…?=
};

// HeaderMismatch (see jsonrpc/error.h): one is missing, is no text, or says something else than the
// request. MCP-Protocol-Version is ReadRequestMeta's to compare.
absl::Status CheckRequestHeaders(const Message& request, const RequestHeaders& headers);

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_REQUEST_HEADERS_H_
