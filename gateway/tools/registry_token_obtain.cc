// registry_token_obtain: where a person makes a token for an OCI registry.

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "gateway/tools/registry_service.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using Stub = auth::v1::RegistryAuthService::StubInterface;

constexpr char kDescription[] =
    R"(Find out where the user makes an access token for an OCI registry. Free. Show the user the url and the message, ask for user name and token, and give both to registry_auth. On a desktop the page is opened in the browser as well.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["registry_url"],
  "properties": {
    "registry_url": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "The registry, such as ghcr.io, or the reference of an image in it."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["status", "registry", "url", "message", "agent_instruction"],
  "properties": {
    "status": {"type": "string", "enum": ["browser_opened", "url_known", "url_unknown"], "description": "browser_opened: the user sees the page already. url_unknown: no page is known; the message says how to go on."},
    "registry": {"type": "string"},
    "url": {"type": "string", "description": "The page; empty where none is known."},
    "message": {"type": "string", "description": "For the user: what to do there."},
    "agent_instruction": {"type": "string", "description": "For you: what to do next."}
  }
})";

absl::StatusOr<ToolOutput> HandleRegistryTokenObtain(const json& arguments, RequestContext& context,
                                                     const Services& services) {
  ASSIGN_OR_RETURN(Stub* const registries, RegistryService(services));
  auth::v1::GetTokenPageRequest request;
  request.set_registry_url(arguments.at("registry_url").get<std::string>());
  ASSIGN_OR_RETURN(const auth::v1::GetTokenPageResponse page,
                   CallUnary(*registries, &Stub::GetTokenPage, request, context.call));
  const bool opened = !page.url().empty() && services.open_in_browser != nullptr &&
                      services.open_in_browser(page.url());
  ToolOutput output;
  output.structured["status"] = opened               ? "browser_opened"
                                : page.url().empty() ? "url_unknown"
                                                     : "url_known";
  output.structured["registry"] = page.registry();
  output.structured["url"] = page.url();
  output.structured["message"] = page.instruction();
  output.structured["agent_instruction"] = absl::StrCat(
      "Show the user the message", page.url().empty() ? "" : " and the url",
      ". Then ask for the user name and the token, and call registry_auth with registry_url \"",
      page.registry(), "\". Never invent either of them, and never repeat the token.");
  return output;
}

}  // namespace

Tool RegistryTokenObtainTool() {
  return {
      .name = "registry_token_obtain",
      .title = "Find where to make a registry token",
      // A page may be opened, nothing is changed.
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = true},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleRegistryTokenObtain,
  };
}

}  // namespace contree::gateway
