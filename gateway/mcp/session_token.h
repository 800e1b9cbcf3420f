#ifndef GATEWAY_MCP_SESSION_TOKEN_H_
#define GATEWAY_MCP_SESSION_TOKEN_H_

// The Mcp-Session-Id of the earlier era over HTTP: no name of something that a server remembers,
// but what was agreed on itself, sealed. So any replica that has the key serves the session.
// Thread-safe.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/text_sealer.h"

namespace contree::gateway {

struct SessionToken {
  std::string id;  // stays the same when the token is made again with something else agreed on
  Negotiated negotiated;
};

// Of a session that begins.
SessionToken NewSessionToken(Negotiated negotiated);

// Holds for a week.
absl::StatusOr<std::string> SealSessionToken(const SessionToken& token, const TextSealer& sealer,
                                             absl::string_view tenant, absl::Time now);

// NotFound: it is none of ours, or has expired: the client has to initialize again.
absl::StatusOr<SessionToken> OpenSessionToken(absl::string_view text, const TextSealer& sealer,
                                              absl::string_view tenant, absl::Time now);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_SESSION_TOKEN_H_
