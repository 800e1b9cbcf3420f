// whoami: whose credentials the server uses, and what they allow.

#include <map>
#include <string>

#include "common/status/status_macros.h"
#include "gateway/mcp/server_info.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(Show which token this server uses, what it may do, its limits and what runs at the moment. Free. Use it when a call is refused: permissions says what is allowed, limits how many operations may run at once. The token itself is never shown.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "properties": {}
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["permissions", "limits", "operations", "api_url", "version"],
  "properties": {
    "token_uuid": {"type": "string", "description": "Names the token; absent where there is none."},
    "token_expiration": {"type": "string", "description": "RFC 3339, UTC; absent: it does not expire."},
    "permissions": {"type": "object", "additionalProperties": {"type": "boolean"}, "description": "What the token may do, by the platform's names."},
    "limits": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "The platform's limits, by its names."},
    "operations": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "How many operations there are now, by the platform's names."},
    "api_url": {"type": "string", "description": "Base URL of the platform."},
    "version": {"type": "string", "description": "Version of this server."}
  }
})";

// Sorted, so that the same answer is always the same text.
template <typename Map>
ordered_json SortedJson(const Map& map) {
  const json sorted(std::map<std::string, typename Map::mapped_type>(map.begin(), map.end()));
  return ordered_json(sorted);
}

absl::StatusOr<ToolOutput> HandleWhoami(const json&, RequestContext& context,
                                        const Services& services) {
  ASSIGN_OR_RETURN(const contree::v1::GetIdentityResponse identity,
                   CallUnary(*services.contree, &Stub::GetIdentity,
                             contree::v1::GetIdentityRequest(), context.call));
  ToolOutput output;
  ordered_json& shown = output.structured;
  if (!identity.token_uuid().empty()) shown["token_uuid"] = identity.token_uuid();
  if (identity.has_token_expiration()) {
    shown["token_expiration"] = TimeText(identity.token_expiration());
  }
  shown["permissions"] = SortedJson(identity.permissions());
  shown["limits"] = SortedJson(identity.limits());
  shown["operations"] = SortedJson(identity.operations());
  shown["api_url"] = identity.api_url();
  shown["version"] = kServerVersion;
  return output;
}

}  // namespace

Tool WhoamiTool() {
  return {
      .name = "whoami",
      .title = "Show the account",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleWhoami,
  };
}

}  // namespace contree::gateway
