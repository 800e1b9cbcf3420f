#ifndef GATEWAY_MCP_INPUT_ROUND_H_
#define GATEWAY_MCP_INPUT_ROUND_H_

// InputRequired (see input_required.h) as revision 2026-07-28 carries it: a result that asks, and a
// second request that answers. Thread-safe.

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/client_capabilities.h"
#include "gateway/mcp/input_required.h"
#include "gateway/mcp/text_sealer.h"

namespace contree::gateway {

// What a request brings from the round before; nothing the first time.
struct InputRound {
  nlohmann::json responses = nlohmann::json::object();
  std::string state = "";
};

// InvalidParams (see jsonrpc/error.h): malformed, or a requestState that is not what this request
// was given: changed, of another request or another tenant, or older than an hour.
absl::StatusOr<InputRound> ReadInputRound(const Message& request, absl::string_view tenant,
                                          const TextSealer& sealer, absl::Time now);

// MissingCapability: the client cannot do what it would be asked for.
absl::Status CheckInputRequired(const InputRequired& required, const ClientCapabilities& client);

// {"resultType":"input_required", …}
absl::StatusOr<std::string> InputRequiredJson(const InputRequired& required, const Message& request,
                                              absl::string_view tenant, const TextSealer& sealer,
                                              absl::Time now);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_INPUT_ROUND_H_
