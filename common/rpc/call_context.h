#ifndef COMMON_RPC_CALL_CONTEXT_H_
#define COMMON_RPC_CALL_CONTEXT_H_

// What one request carries through the house: until when, for whom, under which id, and whether
// anybody still waits. It is made at the edge (the MCP transport or a gRPC handler) and handed down
// by reference.

#include <stop_token>
#include <string>

#include "absl/time/time.h"
#include "common/rpc/trace_context.h"

namespace contree {

// Everything is stored under a tenant. With --auth=none there is just this one.
inline constexpr char kLocalTenant[] = "local";

struct CallContext {
  absl::Time deadline = absl::InfiniteFuture();
  std::string tenant = kLocalTenant;
  std::string principal;     // who of the tenant: a key's name or a token's subject; empty: unknown
  std::string bearer_token;  // the caller's, for the services to decide by; never logged
  std::string request_id;  // travels to the upstream call and into every log line; never empty past
                           // the edge
  TraceContext trace;      // of the client, where it sent one
  std::stop_token stop;  // requested when the caller went away or cancelled: stop waiting promptly
};

// A context whose request id is new.
CallContext NewCallContext(absl::Duration timeout);

}  // namespace contree

#endif  // COMMON_RPC_CALL_CONTEXT_H_
