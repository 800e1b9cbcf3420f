// The suite's tools. Those named test_input_required_result_* cannot finish without their client.

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/conformance/fixtures.h"

namespace contree::conformance {
namespace {

using gateway::InputRequest;
using gateway::InputRequired;
using gateway::LogLevel;
using gateway::RequestContext;
using gateway::Services;
using gateway::TextContent;
using gateway::Tool;
using gateway::ToolOutput;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr absl::Duration kStep = absl::Milliseconds(50);

// --- What the client is asked ---

InputRequest Elicitation(const std::string& key, const std::string& message, ordered_json schema) {
  return {
      key, "elicitation/create", {{"message", message}, {"requestedSchema", std::move(schema)}}};
}

// A form with one field.
InputRequest Question(const std::string& key, const std::string& message, const std::string& field,
                      const std::string& type) {
  return Elicitation(key, message,
                     {{"type", "object"},
                      {"properties", {{field, {{"type", type}}}}},
                      {"required", ordered_json::array({field})}});
}

InputRequest Sampling(const std::string& key, const std::string& prompt, int max_tokens) {
  return {key,
          "sampling/createMessage",
          {{"messages", ordered_json::array({{{"role", "user"},
                                              {"content", {{"type", "text"}, {"text", prompt}}}}})},
           {"maxTokens", max_tokens}}};
}

InputRequest Roots(const std::string& key) { return {key, "roots/list"}; }

InputRequest NameQuestion() {
  return Question("user_name", "What is your name?", "name", "string");
}

ToolOutput Ask(std::vector<InputRequest> requests, const std::string& state = "") {
  ToolOutput output;
  output.input_required = InputRequired{std::move(requests), state};
  return output;
}

// --- What it answered ---

const json* AnswerTo(const RequestContext& context, const std::string& key) {
  const auto found = context.input_responses->find(key);
  return found == context.input_responses->end() || !found->is_object() ? nullptr : &*found;
}

// A field of a form that the user has sent; nullptr: there is none of this type.
const json* FormField(const RequestContext& context, const std::string& key,
                      const std::string& field, json::value_t type) {
  const json* answer = AnswerTo(context, key);
  if (answer == nullptr || answer->value("action", json()) != "accept") return nullptr;
  const auto content = answer->find("content");
  if (content == answer->end() || !content->is_object()) return nullptr;
  const auto found = content->find(field);
  return found == content->end() || found->type() != type ? nullptr : &*found;
}

const std::string* FormText(const RequestContext& context, const std::string& key,
                            const std::string& field) {
  const json* value = FormField(context, key, field, json::value_t::string);
  return value == nullptr ? nullptr : value->get_ptr<const std::string*>();
}

// The text of a sampled message; nullptr: there is none.
const std::string* SampledText(const RequestContext& context, const std::string& key) {
  const json* answer = AnswerTo(context, key);
  if (answer == nullptr) return nullptr;
  const auto content = answer->find("content");
  if (content == answer->end() || !content->is_object()) return nullptr;
  const auto text = content->find("text");
  return text == content->end() ? nullptr : text->get_ptr<const std::string*>();
}

const json* ListedRoots(const RequestContext& context, const std::string& key) {
  const json* answer = AnswerTo(context, key);
  if (answer == nullptr) return nullptr;
  const auto roots = answer->find("roots");
  return roots == answer->end() || !roots->is_array() ? nullptr : &*roots;
}

ToolOutput Text(const std::string& text) {
  ToolOutput output;
  output.content.push_back(TextContent(text));
  return output;
}

// What the user did with a form, whatever it was.
std::string ActionAndContent(const json& answer) {
  return absl::StrCat("action=", answer.value("action", json()).dump(),
                      ", content=", answer.value("content", json()).dump());
}

// --- Content ---

absl::StatusOr<ToolOutput> SimpleText(const json&, RequestContext&, const Services&) {
  return Text("This is a simple text response for testing.");
}

absl::StatusOr<ToolOutput> ImageOnly(const json&, RequestContext&, const Services&) {
  ToolOutput output;
  output.content.push_back(gateway::ImageContent(RedPixelPng(), "image/png"));
  return output;
}

absl::StatusOr<ToolOutput> AudioOnly(const json&, RequestContext&, const Services&) {
  ToolOutput output;
  output.content.push_back(gateway::AudioContent(SilenceWav(), "audio/wav"));
  return output;
}

absl::StatusOr<ToolOutput> EmbeddedResource(const json&, RequestContext&, const Services&) {
  ToolOutput output;
  output.content.push_back(gateway::EmbeddedText("test://embedded-resource", "text/plain",
                                                 "This is an embedded resource content."));
  return output;
}

absl::StatusOr<ToolOutput> MixedContent(const json&, RequestContext&, const Services&) {
  ToolOutput output = Text("Multiple content types test:");
  output.content.push_back(gateway::ImageContent(RedPixelPng(), "image/png"));
  output.content.push_back(gateway::EmbeddedText(
      "test://mixed-content-resource", "application/json", R"({"test":"data","value":123})"));
  return output;
}

absl::StatusOr<ToolOutput> Fail(const json&, RequestContext&, const Services&) {
  return absl::FailedPreconditionError("This tool intentionally returns an error for testing");
}

// --- Notifications ---

absl::StatusOr<ToolOutput> WithLogging(const json&, RequestContext& context,
                                       const Services& services) {
  context.log(LogLevel::kInfo, "Tool execution started");
  services.clock->Sleep(kStep, context.call.stop);
  context.log(LogLevel::kInfo, "Tool processing data");
  services.clock->Sleep(kStep, context.call.stop);
  context.log(LogLevel::kInfo, "Tool execution completed");
  return Text("Three messages were logged.");
}

absl::StatusOr<ToolOutput> WithProgress(const json&, RequestContext& context,
                                        const Services& services) {
  context.report_progress("begun");
  services.clock->Sleep(kStep, context.call.stop);
  context.report_progress("half done");
  services.clock->Sleep(kStep, context.call.stop);
  context.report_progress("done");
  return Text("Progress was reported three times.");
}

// --- Requests to the client, as the earlier era makes them ---

absl::StatusOr<ToolOutput> AskForSample(const json& arguments, RequestContext& context,
                                        const Services&) {
  const std::string* sample = SampledText(context, "sample");
  if (sample == nullptr) return Ask({Sampling("sample", arguments.at("prompt"), 100)});
  return Text(absl::StrCat("LLM response: ", *sample));
}

absl::StatusOr<ToolOutput> AskForAddress(const json& arguments, RequestContext& context,
                                         const Services&) {
  const json* answer = AnswerTo(context, "address");
  if (answer == nullptr) {
    return Ask(
        {Elicitation("address", arguments.at("message"),
                     {{"type", "object"},
                      {"properties",
                       {{"username", {{"type", "string"}, {"description", "User's response"}}},
                        {"email", {{"type", "string"}, {"description", "User's email address"}}}}},
                      {"required", ordered_json::array({"username", "email"})}})});
  }
  return Text(absl::StrCat("User response: ", ActionAndContent(*answer)));
}

// Asks for a form and tells what became of it.
absl::StatusOr<ToolOutput> AskForForm(RequestContext& context, const std::string& message,
                                      const char* properties_json) {
  const json* answer = AnswerTo(context, "form");
  if (answer == nullptr) {
    return Ask(
        {Elicitation("form", message,
                     {{"type", "object"}, {"properties", ordered_json::parse(properties_json)}})});
  }
  return Text(absl::StrCat("Elicitation completed: ", ActionAndContent(*answer)));
}

absl::StatusOr<ToolOutput> AskWithDefaults(const json&, RequestContext& context, const Services&) {
  return AskForForm(context, "Please look through the defaults", R"({
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": true}
  })");
}

absl::StatusOr<ToolOutput> AskWithEnums(const json&, RequestContext& context, const Services&) {
  return AskForForm(context, "Please choose", R"({
    "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
    "titledSingle": {"type": "string", "oneOf": [
      {"const": "value1", "title": "First Option"},
      {"const": "value2", "title": "Second Option"},
      {"const": "value3", "title": "Third Option"}]},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
                   "enumNames": ["Option One", "Option Two", "Option Three"]},
    "untitledMulti": {"type": "array", "items": {
      "type": "string", "enum": ["option1", "option2", "option3"]}},
    "titledMulti": {"type": "array", "items": {"anyOf": [
      {"const": "value1", "title": "First Choice"},
      {"const": "value2", "title": "Second Choice"},
      {"const": "value3", "title": "Third Choice"}]}}
  })");
}

// --- input_required ---

absl::StatusOr<ToolOutput> AskForName(const json&, RequestContext& context, const Services&) {
  const std::string* name = FormText(context, "user_name", "name");
  if (name == nullptr) return Ask({NameQuestion()});
  return Text(absl::StrCat("Hello, ", *name, "!"));
}

absl::StatusOr<ToolOutput> AskForCapital(const json&, RequestContext& context, const Services&) {
  constexpr char kKey[] = "capital_question";
  const std::string* sample = SampledText(context, kKey);
  if (sample == nullptr) return Ask({Sampling(kKey, "What is the capital of France?", 100)});
  return Text(*sample);
}

absl::StatusOr<ToolOutput> AskForRoots(const json&, RequestContext& context, const Services&) {
  const json* roots = ListedRoots(context, "client_roots");
  if (roots == nullptr) return Ask({Roots("client_roots")});
  return Text(absl::StrCat("The roots: ", roots->dump()));
}

absl::StatusOr<ToolOutput> AskWithState(const json&, RequestContext& context, const Services&) {
  constexpr char kState[] = "asked for a confirmation";
  if (context.request_state != kState ||
      FormField(context, "confirm", "ok", json::value_t::boolean) == nullptr) {
    return Ask({Question("confirm", "Please confirm", "ok", "boolean")}, kState);
  }
  return Text("state-ok");
}

absl::StatusOr<ToolOutput> AskForSeveral(const json&, RequestContext& context, const Services&) {
  constexpr char kState[] = "asked for three";
  const std::string* name = FormText(context, "user_name", "name");
  const std::string* greeting = SampledText(context, "greeting");
  const json* roots = ListedRoots(context, "client_roots");
  if (context.request_state != kState || name == nullptr || greeting == nullptr ||
      roots == nullptr) {
    return Ask(
        {NameQuestion(), Sampling("greeting", "Generate a greeting", 50), Roots("client_roots")},
        kState);
  }
  return Text(absl::StrCat(*greeting, " ", *name, ", with roots ", roots->dump()));
}

absl::StatusOr<ToolOutput> AskTwice(const json&, RequestContext& context, const Services&) {
  constexpr absl::string_view kNameIs = "name:";
  if (absl::StartsWith(context.request_state, kNameIs)) {
    const std::string* color = FormText(context, "step2", "color");
    if (color != nullptr) {
      return Text(absl::StrCat(context.request_state.substr(kNameIs.size()), " likes ", *color));
    }
  } else {
    const std::string* name = FormText(context, "step1", "name");
    if (name == nullptr) {
      return Ask({Question("step1", "Step 1: What is your name?", "name", "string")}, "begun");
    }
    context.request_state = absl::StrCat(kNameIs, *name);
  }
  return Ask({Question("step2", "Step 2: What is your favorite color?", "color", "string")},
             context.request_state);
}

absl::StatusOr<ToolOutput> AskWhatIsPossible(const json&, RequestContext& context,
                                             const Services&) {
  std::vector<InputRequest> requests;
  if (context.client.elicitation_form) requests.push_back(NameQuestion());
  if (context.client.sampling) {
    requests.push_back(Sampling("greeting", "Generate a greeting", 50));
  }
  if (context.client.roots) requests.push_back(Roots("client_roots"));
  if (requests.empty()) return Text("This client cannot be asked for anything.");
  for (const InputRequest& request : requests) {
    if (AnswerTo(context, request.key) == nullptr) return Ask(std::move(requests));
  }
  return Text("All was answered.");
}

// Needs a client that samples, whether it says so or not.
absl::StatusOr<ToolOutput> NeedSampling(const json&, RequestContext& context, const Services&) {
  const std::string* sample = SampledText(context, "sample");
  if (sample == nullptr) return Ask({Sampling("sample", "Say anything", 10)});
  return Text(*sample);
}

// --- Schemas ---

absl::StatusOr<ToolOutput> EchoArguments(const json& arguments, RequestContext&, const Services&) {
  return Text(arguments.dump());
}

constexpr char kNoArguments[] = R"({"type": "object", "properties": {}})";

constexpr char kSchemaOf202012[] = R"({
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "$defs": {
    "address": {
      "$anchor": "addressDef",
      "type": "object",
      "properties": {"street": {"type": "string"}, "city": {"type": "string"}}
    }
  },
  "properties": {
    "name": {"type": "string"},
    "address": {"$ref": "#/$defs/address"},
    "contactMethod": {"type": "string", "enum": ["phone", "email"]},
    "phone": {"type": "string"},
    "email": {"type": "string"}
  },
  "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
  "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
  "then": {"required": ["phone"]},
  "else": {"required": ["email"]},
  "additionalProperties": false
})";

Tool Fixture(const char* name, const char* description, gateway::ToolHandler handler,
             const char* input_schema = kNoArguments) {
  return {.name = name,
          .title = name,
          .annotations = {.read_only = true,
                          .destructive = false,
                          .idempotent = true,
                          .open_world = false},
          .description = description,
          .input_schema = input_schema,
          .output_schema = "",
          .handler = handler};
}

}  // namespace

std::vector<Tool> FixtureTools() {
  return {
      Fixture("test_simple_text", "Answers with one text.", SimpleText),
      Fixture("test_image_content", "Answers with an image.", ImageOnly),
      Fixture("test_audio_content", "Answers with a sound.", AudioOnly),
      Fixture("test_embedded_resource", "Answers with a resource.", EmbeddedResource),
      Fixture("test_multiple_content_types", "Answers with a text, an image and a resource.",
              MixedContent),
      Fixture("test_error_handling", "Always fails.", Fail),
      Fixture("test_tool_with_logging", "Logs three messages.", WithLogging),
      Fixture("test_logging_tool", "Logs three messages.", WithLogging),
      Fixture("test_tool_with_progress", "Reports progress three times.", WithProgress),
      Fixture("test_sampling", "Asks the client's model.", AskForSample,
              R"({"type": "object", "required": ["prompt"],
                  "properties": {"prompt": {"type": "string"}}})"),
      Fixture("test_elicitation", "Asks the user for a name and an address.", AskForAddress,
              R"({"type": "object", "required": ["message"],
                  "properties": {"message": {"type": "string"}}})"),
      Fixture("test_elicitation_sep1034_defaults", "Asks the user with defaults of each type.",
              AskWithDefaults),
      Fixture("test_elicitation_sep1330_enums", "Asks the user to choose, in all five ways.",
              AskWithEnums),
      Fixture("test_streaming_elicitation", "Asks the user for a name.", AskForName),
      Fixture("test_missing_capability", "Asks the client's model.", NeedSampling),
      Fixture("test_input_required_result_elicitation", "Asks the user for a name.", AskForName),
      Fixture("test_input_required_result_sampling", "Asks the client's model.", AskForCapital),
      Fixture("test_input_required_result_list_roots", "Asks for the client's roots.", AskForRoots),
      Fixture("test_input_required_result_request_state", "Asks, and remembers that it did.",
              AskWithState),
      Fixture("test_input_required_result_multiple_inputs", "Asks for three things at once.",
              AskForSeveral),
      Fixture("test_input_required_result_multi_round", "Asks twice.", AskTwice),
      Fixture("test_input_required_result_tampered_state", "Asks, and remembers that it did.",
              AskWithState),
      Fixture("test_input_required_result_capabilities", "Asks for what the client can do.",
              AskWhatIsPossible),
      Fixture("json_schema_2020_12_tool", "Repeats its arguments.", EchoArguments, kSchemaOf202012),
  };
}

}  // namespace contree::conformance
