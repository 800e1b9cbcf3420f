#include "gateway/completions/completion_registry.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/text/json_text.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// The protocol's bound.
constexpr size_t kMaxValues = 100;

const std::string* FindString(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

const json& Member(const json& object, const char* key) {
  static const json kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

struct Target {
  CompletionReference reference;
  std::string name;
  std::string argument;
};

absl::StatusOr<Target> ReadTarget(const json& reference, const json& argument) {
  const std::string* type = reference.is_object() ? FindString(reference, "type") : nullptr;
  Target target;
  const std::string* name = nullptr;
  if (type != nullptr && *type == "ref/prompt") {
    target.reference = CompletionReference::kPrompt;
    name = FindString(reference, "name");
  } else if (type != nullptr && *type == "ref/resource") {
    target.reference = CompletionReference::kResourceTemplate;
    name = FindString(reference, "uri");
  }
  if (name == nullptr) {
    return InvalidParams(
        R"("ref" is {"type": "ref/prompt", "name": …} or {"type": "ref/resource", "uri": …})");
  }
  const std::string* argument_name = argument.is_object() ? FindString(argument, "name") : nullptr;
  if (argument_name == nullptr || FindString(argument, "value") == nullptr) {
    return InvalidParams(R"("argument" has a "name" and a "value", both strings)");
  }
  target.name = *name;
  target.argument = *argument_name;
  return target;
}

CompletionRequest ReadRequest(const json& params) {
  CompletionRequest request;
  request.value = params.at("argument").at("value").get<std::string>();
  const json& context = Member(params, "context");
  if (!context.is_object()) return request;
  const json& arguments = Member(context, "arguments");
  if (!arguments.is_object()) return request;
  for (const auto& [name, value] : arguments.items()) {
    if (value.is_string()) request.arguments[name] = value.get<std::string>();
  }
  return request;
}

}  // namespace

CompletionRegistry::CompletionRegistry(std::vector<Completion> completions,
                                       const PromptRegistry& prompts,
                                       const ResourceRegistry& resources, const Services& services)
    : prompts_(prompts),
      resources_(resources),
      services_(services),
      completions_(std::move(completions)) {}

absl::StatusOr<std::string> CompletionRegistry::Complete(const json& params,
                                                         RequestContext& context) const {
  ASSIGN_OR_RETURN(const Target target,
                   ReadTarget(Member(params, "ref"), Member(params, "argument")));
  const bool exists = target.reference == CompletionReference::kPrompt
                          ? prompts_.Find(target.name) != nullptr
                          : resources_.HasTemplate(target.name);
  if (!exists) {
    constexpr size_t kMaxShownBytes = 80;
    return InvalidParams(absl::StrCat("nothing to complete: there is no '",
                                      target.name.substr(0, kMaxShownBytes), "'"));
  }
  const auto completion =
      std::find_if(completions_.begin(), completions_.end(), [&target](const Completion& known) {
        return known.reference == target.reference && known.name == target.name &&
               known.argument == target.argument;
      });
  std::vector<std::string> values;
  if (completion != completions_.end()) {
    ASSIGN_OR_RETURN(values, completion->handler(ReadRequest(params), context, services_));
  }
  const size_t total = values.size();
  if (total > kMaxValues) values.resize(kMaxValues);
  return absl::StrCat(R"({"completion":{"values":)", ToJsonText(json(values)), R"(,"total":)",
                      total, R"(,"hasMore":)", total > kMaxValues ? "true" : "false", "}}");
}

}  // namespace contree::gateway
