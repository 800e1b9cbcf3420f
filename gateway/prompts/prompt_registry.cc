#include "gateway/prompts/prompt_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kMaxShownNameBytes = 80;

ordered_json Describe(const Prompt& prompt) {
  ordered_json described = {{"name", prompt.name}};
  if (!prompt.title.empty()) described["title"] = prompt.title;
  described["description"] = prompt.description;
  ordered_json arguments = ordered_json::array();
  for (const PromptArgument& argument : prompt.arguments) {
    arguments.push_back({{"name", argument.name},
                         {"description", argument.description},
                         {"required", argument.required}});
  }
  if (!arguments.empty()) described["arguments"] = std::move(arguments);
  return described;
}

std::string List(const std::vector<Prompt>& prompts) {
  ordered_json list = ordered_json::array();
  for (const Prompt& prompt : prompts) list.push_back(Describe(prompt));
  return ordered_json{{"prompts", std::move(list)}}.dump();
}

// "task, base, project", for a client that named something else.
template <typename T>
std::string Names(const std::vector<T>& items) {
  return absl::StrJoin(items, ", ",
                       [](std::string* out, const T& item) { absl::StrAppend(out, item.name); });
}

absl::StatusOr<PromptArguments> ReadArguments(const Prompt& prompt, const json& given) {
  if (!given.is_null() && !given.is_object()) {
    return InvalidParams("the arguments of a prompt are an object of strings");
  }
  PromptArguments arguments;
  if (given.is_object()) {
    for (const auto& [name, value] : given.items()) {
      const bool is_known =
          std::any_of(prompt.arguments.begin(), prompt.arguments.end(),
                      [&name = name](const PromptArgument& known) { return known.name == name; });
      if (!is_known) {
        return InvalidParams(absl::StrCat("the prompt ", prompt.name, " has no argument '",
                                          name.substr(0, kMaxShownNameBytes), "'; it takes ",
                                          Names(prompt.arguments)));
      }
      if (!value.is_string()) {
        return InvalidParams(
            absl::StrCat("argument '", name, "' of the prompt ", prompt.name, " must be a string"));
      }
      arguments[name] = value.get<std::string>();
    }
  }
  for (const PromptArgument& argument : prompt.arguments) {
    const auto found = arguments.find(argument.name);
    if (found != arguments.end() && !found->second.empty()) continue;
    if (argument.required) {
      return InvalidParams(absl::StrCat("the prompt ", prompt.name, " needs the argument '",
                                        argument.name, "': ", argument.description));
    }
    // A form that was left empty sends an empty text.
    if (found != arguments.end()) arguments.erase(found);
    if (argument.default_value.has_value()) arguments[argument.name] = *argument.default_value;
  }
  return arguments;
}

}  // namespace

PromptRegistry::PromptRegistry(std::vector<Prompt> prompts, const Services& services)
    : services_(services), prompts_(std::move(prompts)), list_json_(List(prompts_)) {}

const Prompt* PromptRegistry::Find(absl::string_view name) const {
  for (const Prompt& prompt : prompts_) {
    if (prompt.name == name) return &prompt;
  }
  return nullptr;
}

absl::StatusOr<PromptOutput> PromptRegistry::Get(absl::string_view name, const json& arguments,
                                                 RequestContext& context) const {
  const Prompt* prompt = Find(name);
  if (prompt == nullptr) {
    return InvalidParams(absl::StrCat("unknown prompt '", name.substr(0, kMaxShownNameBytes),
                                      "'; the prompts are ", Names(prompts_)));
  }
  const absl::StatusOr<PromptArguments> checked = ReadArguments(*prompt, arguments);
  if (!checked.ok()) return checked.status();
  absl::StatusOr<PromptOutput> output = prompt->handler(*checked, context, services_);
  if (absl::IsInvalidArgument(output.status()) || absl::IsNotFound(output.status())) {
    return InvalidParams(output.status().message());
  }
  if (output.ok() && output->description.empty()) output->description = prompt->description;
  return output;
}

}  // namespace contree::gateway
