#include "common/rpc/call_context.h"

#include "absl/time/clock.h"
#include "common/uuid/uuid.h"

namespace contree {

CallContext NewCallContext(absl::Duration timeout) {
  CallContext context;
  context.deadline = absl::Now() + timeout;
  context.request_id = NewUuidV7(absl::Now());
  return context;
}

}  // namespace contree
