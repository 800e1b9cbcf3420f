#ifndef GATEWAY_MCP_REQUEST_CONTEXT_H_
#define GATEWAY_MCP_REQUEST_CONTEXT_H_

// What the handler of one MCP request knows besides the parameters. It lives as long as the
// handler's call and is used by the thread that runs it.

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/strings/string_view.h"
#include "common/rpc/call_context.h"
#include "gateway/mcp/client_capabilities.h"
#include "gateway/mcp/log_level.h"
#include "gateway/mcp/protocol_version.h"

namespace contree::gateway {

// How the client is reached.
enum class TransportKind { kStdio, kHttp };

struct RequestContext {
  // call.stop is requested when the client cancels and when nobody can read the answer any more.
  CallContext call;
  // Tells these two apart: true only after the client itself asked to cancel (it is so before
  // call.stop is requested). A connection that breaks cancels no operation. Thread-safe.
  std::function<bool()> cancelled_by_client = [] { return false; };
  // Tells the client how far the request is, if it asked to be told. Too many at once are dropped.
  std::function<void(absl::string_view message)> report_progress = [](absl::string_view) {};
  // notifications/message, if the client wants messages of this level.
  std::function<void(LogLevel level, absl::string_view message)> log = [](LogLevel,
                                                                          absl::string_view) {};

  Era era = Era::kSessions;
  TransportKind transport = TransportKind::kStdio;
  ClientCapabilities client;
  // Whether the client can be told of changes of resources.
  bool can_subscribe = false;

  // What came of an InputRequired (see input_required.h): an object by its keys, never null while
  // a handler runs and empty on the first call; and the state that was returned with it, which
  // nobody has read or changed.
  const nlohmann::json* input_responses = nullptr;
  std::string request_state = "";
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_REQUEST_CONTEXT_H_
