#include "gateway/testing/asking_server.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

InputRequest AskForText(const std::string& key) {
  return {.key = key,
          .method = "elicitation/create",
          .params = {{"message", absl::StrCat("Your ", key, "?")},
                     {"requestedSchema",
                      {{"type", "object"}, {"properties", {{key, {{"type", "string"}}}}}}}}};
}

// "" where it was not given.
std::string GivenText(const RequestContext& context, const std::string& key) {
  const auto found = context.input_responses->find(key);
  if (found == context.input_responses->end() || found->value("action", "") != "accept") return "";
  return found->value("content", json::object()).value(key, "");
}

ToolOutput Say(const std::string& text) {
  ToolOutput output;
  output.content.push_back(TextContent(text));
  return output;
}

absl::StatusOr<ToolOutput> Greet(const json& arguments, RequestContext& context, const Services&) {
  ToolOutput output;
  if (context.request_state.empty()) {
    const std::string name = GivenText(context, "name");
    if (name.empty()) {
      output.input_required = InputRequired{.requests = {AskForText("name")}};
      return output;
    }
    if (!arguments.at("formal").get<bool>()) return Say("hello " + name);
    output.input_required = InputRequired{.requests = {AskForText("title")}, .state = name};
    return output;
  }
  return Say(absl::StrCat("hello ", GivenText(context, "title"), " ", context.request_state));
}

absl::StatusOr<ToolOutput> SignIn(const json&, RequestContext& context, const Services&) {
  ToolOutput output;
  const auto answer = context.input_responses->find("page");
  if (answer != context.input_responses->end()) return Say(answer->value("action", ""));
  output.input_required =
      InputRequired{.requests = {{.key = "page",
                                  .method = "elicitation/create",
                                  .params = {{"mode", "url"},
                                             {"message", "Sign in"},
                                             {"elicitationId", "e-1"},
                                             {"url", "https://example.com/sign-in"}}}}};
  return output;
}

absl::StatusOr<ToolOutput> Talk(const json&, RequestContext& context, const Services&) {
  context.log(LogLevel::kDebug, "quiet");
  context.log(LogLevel::kWarning, "loud");
  context.report_progress("half way");
  return Say("done");
}

absl::StatusOr<ToolOutput> AskForEver(const json&, RequestContext&, const Services&) {
  ToolOutput output;
  output.input_required = InputRequired{.requests = {AskForText("name")}};
  return output;
}

absl::StatusOr<PromptOutput> GreetingPrompt(const PromptArguments&, RequestContext& context,
                                            const Services&) {
  PromptOutput output;
  const std::string name = GivenText(context, "name");
  if (name.empty()) {
    output.input_required = InputRequired{.requests = {AskForText("name")}};
  } else {
    output.messages.push_back({.content = TextContent("greet " + name)});
  }
  return output;
}

absl::StatusOr<ResourceContent> GreetingResource(const ResourceRequest&, RequestContext& context,
                                                 const Services&) {
  ResourceContent content;
  const std::string name = GivenText(context, "name");
  if (name.empty()) {
    content.input_required = InputRequired{.requests = {AskForText("name")}};
  } else {
    content.mime_type = "text/plain";
    content.data = "hello " + name;
  }
  return content;
}

Tool NewTool(const std::string& name, ToolHandler handler) {
  return {.name = name,
          .title = name,
          .annotations = {},
          .description = "of tests",
          .input_schema = R"({"type": "object", "properties": {"formal": {"type": "boolean", )"
                          R"("default": false}}})",
          .output_schema = "",
          .handler = handler};
}

TextSealer NewSealer() {
  absl::StatusOr<TextSealer> sealer = TextSealer::OfNewKey();
  if (!sealer.ok()) std::abort();
  return *std::move(sealer);
}

}  // namespace

AskingServer::AskingServer() : AskingServer(NewSealer()) {}

AskingServer::AskingServer(TextSealer sealer)
    : services_{.contree = nullptr},
      tools_({NewTool("greet", Greet), NewTool("sign_in", SignIn), NewTool("talk", Talk),
              NewTool("ask_for_ever", AskForEver)},
             services_),
      resources_({{.uri = "test://greeting",
                   .name = "greeting",
                   .title = "",
                   .description = "",
                   .mime_type = "text/plain",
                   .handler = GreetingResource}},
                 {}, services_),
      prompts_({{.name = "greet",
                 .title = "",
                 .description = "of tests",
                 .arguments = {},
                 .handler = GreetingPrompt}},
               services_),
      completions_({}, prompts_, resources_, services_),
      sealer_(std::move(sealer)),
      server_({tools_, resources_, prompts_, completions_}, sealer_) {}

}  // namespace contree::gateway
