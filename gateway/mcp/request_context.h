#ifndef GATEWAY_MCP_REQUEST_CONTEXT_H_
#define GATEWAY_MCP_REQUEST_CONTEXT_H_

// What the handler of one MCP request knows besides the parameters. It lives as long as the
// handler's call and is used by the thread that runs it.

#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/rpc/call_context.h"

namespace contree::gateway {

struct RequestContext {
  // call.stop is requested when the client cancels and when nobody can read the answer any more.
  CallContext call;
  // Tells these two apart: true only after the client itself asked to cancel (it is so before
  // call.stop is requested). A connection that breaks cancels no operation. Thread-safe.
  std::function<bool()> cancelled_by_client = [] { return false; };
  // Tells the client how far the request is, if it asked to be told. Too many at once are dropped.
  std::function<void(absl::string_view message)> report_progress = [](absl::string_view) {};
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_REQUEST_CONTEXT_H_
