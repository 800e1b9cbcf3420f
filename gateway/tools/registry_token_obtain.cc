// registry_token_obtain: where a person makes a token for an OCI registry.
//
// A client that can ask its user to open a page (URL-mode elicitation) is asked to; else, on a
// desktop, the browser is opened. Either way the result has the URL and says what to do.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/uuid/uuid.h"
#include "gateway/tools/registry_service.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using Stub = auth::v1::RegistryAuthService::StubInterface;

constexpr char kDescription[] =
    R"(Find out where the user makes an access token for an OCI registry. Free. Show the user the url and the message, ask for user name and token, and give both to registry_auth. Where the client can, the user is asked to open the page; on a desktop the browser opens it.)";

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
    "status": {"type": "string", "enum": ["page_accepted", "page_declined", "browser_opened", "url_known", "url_unknown"], "description": "page_accepted, browser_opened: the user sees the page already. page_declined: the user was asked and did not want to open it now. url_unknown: no page is known; the message says how to go on."},
    "registry": {"type": "string"},
    "url": {"type": "string", "description": "The page; empty where none is known."},
    "message": {"type": "string", "description": "For the user: what to do there."},
    "agent_instruction": {"type": "string", "description": "For you: what to do next."}
  }
})";

constexpr char kPageKey[] = "token_page";

// Asks the client to ask its user.
InputRequired AskToOpen(const auth::v1::GetTokenPageResponse& page) {
  InputRequest request = {.key = kPageKey, .method = "elicitation/create"};
  request.params["mode"] = "url";
  request.params["elicitationId"] = NewUuidV4();
  request.params["url"] = page.url();
  request.params["message"] = page.instruction();
  return {.requests = {std::move(request)}};
}

// What the user did with the question: "accept", "decline" or "cancel"; "" where none was asked.
std::string Answer(const RequestContext& context) {
  if (context.input_responses == nullptr || !context.input_responses->is_object()) return "";
  const auto response = context.input_responses->find(kPageKey);
  if (response == context.input_responses->end()) return "";
  const bool has_action =
      response->is_object() && response->contains("action") && response->at("action").is_string();
  return has_action ? response->at("action").get<std::string>() : "cancel";
}

// What the agent does next. On the user's own machine there is a way past the conversation.
std::string Instruction(const auth::v1::GetTokenPageResponse& page, const std::string& status,
                        bool is_users_machine) {
  const bool shows_url = status == "url_known" || status == "page_declined";
  return absl::StrCat(
      status == "page_declined" ? "The user did not open the page now: ask whether to go on. " : "",
      "Show the user the message", shows_url ? " and the url" : "",
      ". Then ask for the user name and the token, and call registry_auth with registry_url \"",
      page.registry(), "\". Never invent either of them, and never repeat the token.",
      is_users_machine
          ? absl::StrCat(" A user who does not want to show you the token runs `contree-mcp "
                         "registry add ",
                         page.registry(), "` in a terminal instead; import_image works then.")
          : "");
}

absl::StatusOr<ToolOutput> HandleRegistryTokenObtain(const json& arguments, RequestContext& context,
                                                     const Services& services) {
  ASSIGN_OR_RETURN(Stub* const registries, RegistryService(services));
  auth::v1::GetTokenPageRequest request;
  request.set_registry_url(arguments.at("registry_url").get<std::string>());
  ASSIGN_OR_RETURN(const auth::v1::GetTokenPageResponse page,
                   CallUnary(*registries, &Stub::GetTokenPage, request, context.call));
  const bool is_users_machine = services.open_in_browser != nullptr;
  ToolOutput output;
  std::string status = "url_unknown";
  if (!page.url().empty()) {
    const std::string answer = Answer(context);
    if (answer.empty() && context.client.elicitation_url && context.input_responses != nullptr) {
      output.input_required = AskToOpen(page);
      return output;
    }
    if (!answer.empty()) {
      status = answer == "accept" ? "page_accepted" : "page_declined";
    } else {
      status =
          is_users_machine && services.open_in_browser(page.url()) ? "browser_opened" : "url_known";
    }
  }
  output.structured["status"] = status;
  output.structured["registry"] = page.registry();
  output.structured["url"] = page.url();
  output.structured["message"] = page.instruction();
  output.structured["agent_instruction"] = Instruction(page, status, is_users_machine);
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
