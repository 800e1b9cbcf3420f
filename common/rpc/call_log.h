#ifndef COMMON_RPC_CALL_LOG_H_
#define COMMON_RPC_CALL_LOG_H_

#include <string>

#include "absl/strings/string_view.h"
#include "common/rpc/call_context.h"
#include "common/telemetry/log_scope.h"

namespace contree {

// The trace that a traceparent is of; empty: there is none.
std::string TraceIdOf(absl::string_view traceparent);

// While it lives, each line that this thread logs has the call's request_id and, where the client
// sent one, its trace_id. Lives on a stack.
class CallLog {
 public:
  explicit CallLog(const CallContext& context)
      : scope_({{"request_id", context.request_id},
                {"trace_id", TraceIdOf(context.trace.traceparent)}}) {}

 private:
  const LogScope scope_;
};

}  // namespace contree

#endif  // COMMON_RPC_CALL_LOG_H_
