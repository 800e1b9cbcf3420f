#include "gateway/mcp/client_capabilities.h"

#include <nlohmann/json.hpp>

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

bool AsksForPage(const ordered_json& params) {
  const auto mode = params.find("mode");
  return mode != params.end() && *mode == "url";
}

}  // namespace

bool ClientCapabilities::Allow(absl::string_view method, const ordered_json& params) const {
  if (method == "roots/list") return roots;
  if (method == "sampling/createMessage") return sampling;
  if (method == "elicitation/create") {
    return AsksForPage(params) ? elicitation_url : elicitation_form;
  }
  return false;
}

ClientCapabilities ReadClientCapabilities(const json& capabilities) {
  ClientCapabilities read;
  if (!capabilities.is_object()) return read;
  const auto has = [](const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_object();
  };
  read.roots = has(capabilities, "roots");
  read.sampling = has(capabilities, "sampling");
  if (has(capabilities, "elicitation")) {
    const json& elicitation = capabilities.at("elicitation");
    read.elicitation_url = has(elicitation, "url");
    // Before there were pages, the empty object meant forms; it still does.
    read.elicitation_form = has(elicitation, "form") || !read.elicitation_url;
  }
  return read;
}

ordered_json RequiredCapability(absl::string_view method, const ordered_json& params) {
  const ordered_json empty = ordered_json::object();
  if (method == "roots/list") return {{"roots", empty}};
  if (method == "sampling/createMessage") return {{"sampling", empty}};
  if (AsksForPage(params)) return {{"elicitation", {{"url", empty}}}};
  return {{"elicitation", empty}};
}

}  // namespace contree::gateway
