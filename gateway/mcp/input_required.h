#ifndef GATEWAY_MCP_INPUT_REQUIRED_H_
#define GATEWAY_MCP_INPUT_REQUIRED_H_

// A handler that cannot finish without its client (a confirmation, a page to open, a sample) does
// not wait for it: it returns an InputRequired and is called again, with the answers in
// RequestContext::input_responses and what it left itself in RequestContext::request_state.
//
// Of revision 2026-07-28 the client makes both calls; in the earlier ones the gateway asks the
// client in between. The handler sees no difference.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace contree::gateway {

struct InputRequest {
  std::string key;     // under which the answer comes back
  std::string method;  // "elicitation/create", "sampling/createMessage" or "roots/list"
  nlohmann::ordered_json params = nlohmann::ordered_json::object();
};

struct InputRequired {
  // Only what the client can do (see ClientCapabilities): for anything else it gets an error.
  std::vector<InputRequest> requests;
  // For the next call; sealed on its way, so that a client can neither read nor change it, and
  // bound to the caller and the request. Empty: none. Something of both must be there.
  std::string state = "";
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_INPUT_REQUIRED_H_
