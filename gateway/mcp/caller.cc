#include "gateway/mcp/caller.h"

namespace contree::gateway {

CallContext CallContextOf(const Caller& caller, absl::Duration timeout) {
  CallContext context = NewCallContext(timeout);
  context.tenant = caller.tenant;
  context.principal = caller.principal;
  context.bearer_token = caller.bearer_token;
  return context;
}

}  // namespace contree::gateway
