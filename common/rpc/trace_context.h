#ifndef COMMON_RPC_TRACE_CONTEXT_H_
#define COMMON_RPC_TRACE_CONTEXT_H_

// W3C trace context: whose larger undertaking a request is part of. It is carried unchanged from
// the MCP client to the platform, for nothing here records spans of its own. Thread-safe.

#include <string>

#include "absl/strings/string_view.h"

namespace contree {

struct TraceContext {
  std::string traceparent;  // empty: the caller said nothing, and the two others are empty too
  std::string tracestate;
  std::string baggage;

  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

// What comes from outside, as it may be sent on: a traceparent that is not of the W3C's form takes
// all with it; the others are dropped where they are too long (512 and 8192 bytes) or hold anything
// but printable ASCII.
TraceContext CleanTraceContext(absl::string_view traceparent, absl::string_view tracestate,
                               absl::string_view baggage);

}  // namespace contree

#endif  // COMMON_RPC_TRACE_CONTEXT_H_
