#ifndef GATEWAY_MCP_CALLER_H_
#define GATEWAY_MCP_CALLER_H_

// Who sent a request to the gateway, as its edge found out.

#include <string>

#include "absl/time/time.h"
#include "common/auth/identity.h"
#include "common/rpc/call_context.h"

namespace contree::gateway {

// By itself the one of a desk, whom nobody asks.
struct Caller {
  std::string tenant = kLocalTenant;
  std::string principal = "";
  std::string bearer_token = "";  // goes on to the services, which judge it themselves
  Scopes scopes = kAllScopes;
};

// The context of a call of theirs, with a new request id.
CallContext CallContextOf(const Caller& caller, absl::Duration timeout);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_CALLER_H_
