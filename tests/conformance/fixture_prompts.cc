// The suite's prompts.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/fixtures.h"

namespace contree::conformance {
namespace {

using gateway::Prompt;
using gateway::PromptArguments;
using gateway::PromptOutput;
using gateway::PromptRole;
using gateway::RequestContext;
using gateway::Services;
using gateway::TextContent;
using nlohmann::json;

absl::StatusOr<PromptOutput> Simple(const PromptArguments&, RequestContext&, const Services&) {
  return PromptOutput{
      .messages = {{PromptRole::kUser, TextContent("This is a simple prompt for testing.")}}};
}

absl::StatusOr<PromptOutput> WithArguments(const PromptArguments& arguments, RequestContext&,
                                           const Services&) {
  return PromptOutput{
      .messages = {{PromptRole::kUser,
                    TextContent(absl::StrCat("Prompt with arguments: arg1='", arguments.at("arg1"),
                                             "', arg2='", arguments.at("arg2"), "'"))}}};
}

absl::StatusOr<PromptOutput> WithResource(const PromptArguments& arguments, RequestContext&,
                                          const Services&) {
  return PromptOutput{
      .messages = {
          {PromptRole::kUser, gateway::EmbeddedText(arguments.at("resourceUri"), "text/plain",
                                                    "Embedded resource content for testing.")},
          {PromptRole::kUser, TextContent("Please process the embedded resource above.")}}};
}

absl::StatusOr<PromptOutput> WithImage(const PromptArguments&, RequestContext&, const Services&) {
  return PromptOutput{
      .messages = {{PromptRole::kUser, gateway::ImageContent(RedPixelPng(), "image/png")},
                   {PromptRole::kUser, TextContent("Please analyze the image above.")}}};
}

// Cannot finish before its client was asked.
absl::StatusOr<PromptOutput> WithInput(const PromptArguments&, RequestContext& context,
                                       const Services&) {
  const json::json_pointer path("/user_context/content/context");
  const json& responses = *context.input_responses;
  if (!responses.contains(path) || !responses.at(path).is_string()) {
    return PromptOutput{
        .input_required = gateway::InputRequired{
            .requests = {{"user_context",
                          "elicitation/create",
                          {{"message", "What context should the prompt use?"},
                           {"requestedSchema",
                            {{"type", "object"},
                             {"properties", {{"context", {{"type", "string"}}}}},
                             {"required", nlohmann::ordered_json::array({"context"})}}}}}}}};
  }
  return PromptOutput{
      .messages = {{PromptRole::kUser,
                    TextContent(absl::StrCat("Use this context: ",
                                             responses.at(path).get_ref<const std::string&>()))}}};
}

}  // namespace

std::vector<Prompt> FixturePrompts() {
  return {
      {.name = "test_simple_prompt",
       .title = "Simple",
       .description = "One message, without arguments.",
       .arguments = {},
       .handler = Simple},
      {.name = "test_prompt_with_arguments",
       .title = "With arguments",
       .description = "One message that repeats its two arguments.",
       .arguments = {{.name = "arg1", .description = "First test argument", .required = true},
                     {.name = "arg2", .description = "Second test argument", .required = true}},
       .handler = WithArguments},
      {.name = "test_prompt_with_embedded_resource",
       .title = "With a resource",
       .description = "A message that holds a resource.",
       .arguments = {{.name = "resourceUri",
                      .description = "URI of the resource to embed",
                      .required = true}},
       .handler = WithResource},
      {.name = "test_prompt_with_image",
       .title = "With an image",
       .description = "A message that holds an image.",
       .arguments = {},
       .handler = WithImage},
      {.name = "test_input_required_result_prompt",
       .title = "With a question",
       .description = "Asks the user for the context.",
       .arguments = {},
       .handler = WithInput},
  };
}

}  // namespace contree::conformance
