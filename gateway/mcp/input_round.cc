#include "gateway/mcp/input_round.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"
#include "common/status/status_macros.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/mcp/server_info.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// As long as a person may take to sign in somewhere.
constexpr absl::Duration kStateLifetime = absl::Hours(1);

const json& Member(const json& object, const char* key) {
  static const json kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

// A state opens for the same caller, method, name and arguments. json's members are sorted, so that
// their order on the way does not matter.
std::string Purpose(const Message& request, absl::string_view tenant) {
  const json& params = request.params();
  const json bound = {std::string(tenant), request.method(), Member(params, "name"),
                      Member(params, "uri"), Member(params, "arguments")};
  return absl::StrCat("request state\n", Sha256Hex(ToJsonText(bound)));
}

}  // namespace

absl::StatusOr<InputRound> ReadInputRound(const Message& request, absl::string_view tenant,
                                          const TextSealer& sealer, absl::Time now) {
  InputRound round;
  const json& params = request.params();
  if (const auto responses = params.find("inputResponses"); responses != params.end()) {
    if (!responses->is_object()) return InvalidParams("inputResponses must be an object");
    for (const auto& [key, response] : responses->items()) {
      if (response.is_object()) continue;
      constexpr size_t kMaxShownBytes = 80;
      return InvalidParams(absl::StrCat("inputResponses: '", key.substr(0, kMaxShownBytes),
                                        "' must be an object, the result of what was asked"));
    }
    round.responses = *responses;
  }
  if (const json& state = Member(params, "requestState"); !state.is_null()) {
    if (!state.is_string()) return InvalidParams("requestState must be a string");
    absl::StatusOr<std::string> opened =
        sealer.Open(state.get_ref<const std::string&>(), Purpose(request, tenant), now);
    if (!opened.ok()) {
      return InvalidParams(absl::StrCat("requestState cannot be used: ", opened.status().message(),
                                        "; begin again, without it"));
    }
    round.state = *std::move(opened);
  }
  return round;
}

absl::Status CheckInputRequired(const InputRequired& required, const ClientCapabilities& client) {
  for (const InputRequest& request : required.requests) {
    if (client.Allow(request.method, request.params)) continue;
    return MissingCapability(ToJsonText(RequiredCapability(request.method, request.params)),
                             absl::StrCat("this needs a client that can be asked for ",
                                          request.method, ", and this one has not said so"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> InputRequiredJson(const InputRequired& required, const Message& request,
                                              absl::string_view tenant, const TextSealer& sealer,
                                              absl::Time now) {
  ordered_json result = {{"resultType", "input_required"}};
  if (!required.requests.empty()) {
    ordered_json& requests = result["inputRequests"];
    for (const InputRequest& wanted : required.requests) {
      requests[wanted.key] = {{"method", wanted.method}, {"params", wanted.params}};
    }
  }
  if (!required.state.empty()) {
    ASSIGN_OR_RETURN(result["requestState"],
                     sealer.Seal(required.state, Purpose(request, tenant), now + kStateLifetime));
  }
  std::string text = ToJsonText(result);
  text.pop_back();
  return absl::StrCat(text, R"(,"_meta":{"io.modelcontextprotocol/serverInfo":)",
                      ServerInfoJson(/*with_icons=*/false), "}}");
}

}  // namespace contree::gateway
