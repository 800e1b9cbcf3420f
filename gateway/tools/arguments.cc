#include "gateway/tools/arguments.h"

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status_macros.h"
#include "common/text/json_text.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// Whose values may be secrets or whole files: never shown, not even to the caller, because the
// answer ends in logs and transcripts.
constexpr absl::string_view kNeverShown[] = {"env", "stdin"};
constexpr size_t kMaxShownBytes = 80;

std::string Member(const json& schema, const char* key) {
  const auto found = schema.find(key);
  return found == schema.end() || !found->is_string() ? "" : found->get<std::string>();
}

std::string TypeName(const json& value) {
  if (value.is_number_integer()) return "an integer";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  if (value.is_boolean()) return "a boolean";
  if (value.is_array()) return "an array";
  return value.is_object() ? "an object" : "null";
}

// "an integer from 1 to 1000"
std::string Wanted(const json& schema) {
  if (const auto values = schema.find("enum"); values != schema.end()) {
    std::vector<std::string> shown;
    for (const json& value : *values) shown.push_back(ToJsonText(value));
    return absl::StrCat("one of ", absl::StrJoin(shown, ", "));
  }
  const std::string type = Member(schema, "type");
  const auto bound = [&schema](const char* key) {
    const auto found = schema.find(key);
    return found == schema.end() ? std::string() : ToJsonText(*found);
  };
  if (type == "integer" || type == "number") {
    std::string text = type == "integer" ? "an integer" : "a number";
    const std::string least = bound("minimum");
    const std::string most = bound("maximum");
    if (!least.empty() && !most.empty()) {
      absl::StrAppend(&text, " from ", least, " to ", most);
    } else if (!least.empty()) {
      absl::StrAppend(&text, " of at least ", least);
    } else if (!most.empty()) {
      absl::StrAppend(&text, " of at most ", most);
    }
    return text;
  }
  if (type == "string") return bound("minLength").empty() ? "a string" : "a string, not empty";
  if (type == "boolean") return "true or false";
  if (type == "array") {
    const auto items = schema.find("items");
    const std::string of = items == schema.end() ? "" : Member(*items, "type");
    std::string text = of.empty() ? "an array" : absl::StrCat("an array of ", of, "s");
    if (!bound("minItems").empty()) absl::StrAppend(&text, ", at least ", bound("minItems"));
    if (!bound("maxItems").empty()) absl::StrAppend(&text, ", at most ", bound("maxItems"));
    return text;
  }
  if (type == "object") {
    const auto members = schema.find("additionalProperties");
    const std::string of =
        members == schema.end() || !members->is_object() ? "" : Member(*members, "type");
    return of.empty() ? "an object" : absl::StrCat("an object whose values are ", of, "s");
  }
  return "something else";
}

// What agents get wrong most: quotes around a number or a boolean, JSON inside a string.
std::string Hint(const json& value, const json& schema) {
  if (!value.is_string()) return "";
  const std::string& text = value.get_ref<const std::string&>();
  const std::string type = Member(schema, "type");
  double number = 0;
  if ((type == "integer" || type == "number") && absl::SimpleAtod(text, &number)) {
    return absl::StrCat("; write ", text, " without quotes");
  }
  if (type == "boolean" && (text == "true" || text == "false")) {
    return absl::StrCat("; write ", text, " without quotes");
  }
  if (type == "array" || type == "object") {
    return absl::StrCat("; give the ", type, " itself, not a string");
  }
  return "";
}

std::string Shown(absl::string_view argument, const json& value) {
  bool hidden = value.is_structured();
  for (const absl::string_view name : kNeverShown) hidden = hidden || name == argument;
  if (hidden) return TypeName(value);
  std::string text = ToJsonText(value);
  if (text.size() <= kMaxShownBytes) return text;
  size_t end = kMaxShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), "… (", TypeName(value), ")");
}

// The schema of the value one step below.
const json* Step(const json& schema, const std::string& step) {
  if (const auto properties = schema.find("properties"); properties != schema.end()) {
    if (const auto found = properties->find(step); found != properties->end()) return &*found;
  }
  for (const char* key : {"items", "additionalProperties"}) {
    if (const auto found = schema.find(key); found != schema.end()) return &*found;
  }
  return nullptr;
}

const json* Step(const json* value, const std::string& step) {
  if (value->is_object()) {
    const auto found = value->find(step);
    return found == value->end() ? nullptr : &*found;
  }
  size_t index = 0;
  if (value->is_array() && absl::SimpleAtoi(step, &index) && index < value->size()) {
    return &(*value)[index];
  }
  return nullptr;
}

// Many clients' languages have just one kind of number.
void MakeInteger(json& value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: every integer up to it is a double
  const double number = value.get<double>();
  if (std::abs(number) <= kExact && std::trunc(number) == number) {
    value = static_cast<int64_t>(number);
  }
}

size_t CommonPrefix(absl::string_view a, absl::string_view b) {
  size_t length = 0;
  while (length < a.size() && length < b.size() && a[length] == b[length]) ++length;
  return length;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ArgumentChecker>> ArgumentChecker::Create(
    absl::string_view input_schema) {
  json schema = json::parse(input_schema.begin(), input_schema.end(), nullptr,
                            /*allow_exceptions=*/false);
  if (!schema.is_object() || Member(schema, "type") != "object") {
    return absl::InvalidArgumentError("an input schema is a JSON object with \"type\": \"object\"");
  }
  if (const auto found = schema.find("properties"); found != schema.end() && !found->is_object()) {
    return absl::InvalidArgumentError("\"properties\" of an input schema is an object");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<JsonSchema> compiled, JsonSchema::Compile(schema));
  return std::unique_ptr<ArgumentChecker>(
      new ArgumentChecker(std::move(schema), std::move(compiled)));
}

ArgumentChecker::ArgumentChecker(json schema, std::unique_ptr<JsonSchema> compiled)
    : schema_(std::move(schema)),
      properties_(schema_.contains("properties") ? schema_["properties"] : json::object()),
      compiled_(std::move(compiled)) {}

absl::StatusOr<json> ArgumentChecker::Check(json arguments) const {
  if (arguments.is_null()) arguments = json::object();
  if (!arguments.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat("arguments must be an object of names and values, not ", TypeName(arguments)));
  }
  for (auto member = arguments.begin(); member != arguments.end();) {
    if (!properties_.contains(member.key())) return Unknown(member.key());
    if (member->is_null()) {
      member = arguments.erase(member);
      continue;
    }
    if (member->is_number_float() && Member(properties_[member.key()], "type") == "integer") {
      MakeInteger(*member);
    }
    ++member;
  }
  if (const auto required = schema_.find("required"); required != schema_.end()) {
    for (const json& name : *required) {
      const auto& text = name.get_ref<const std::string&>();
      if (arguments.contains(text)) continue;
      const json& property = properties_[text];
      return absl::InvalidArgumentError(absl::StrCat("argument '", text, "' is missing: give ",
                                                     Wanted(property), " (",
                                                     Member(property, "description"), ")"));
    }
  }
  for (const auto& [name, property] : properties_.items()) {
    const auto default_value = property.find("default");
    if (default_value != property.end() && !arguments.contains(name)) {
      arguments[name] = *default_value;
    }
  }
  const std::vector<SchemaViolation> violations = compiled_->Check(arguments);
  // valijson reports the root first and the value that is to blame last of its chain: the longest
  // path says most.
  const SchemaViolation* deepest = nullptr;
  for (const SchemaViolation& violation : violations) {
    if (deepest == nullptr || violation.path.size() > deepest->path.size()) deepest = &violation;
  }
  if (deepest != nullptr) return Explain(arguments, *deepest);
  return arguments;
}

absl::Status ArgumentChecker::Unknown(const std::string& name) const {
  std::vector<std::string> names;
  std::string nearest;
  size_t nearest_length = 2;  // a shorter beginning in common is chance
  for (const auto& [known, property] : properties_.items()) {
    names.push_back(known);
    if (const size_t length = CommonPrefix(known, name); length > nearest_length) {
      nearest = known;
      nearest_length = length;
    }
  }
  const std::string guess = nearest.empty() ? "" : absl::StrCat(" (did you mean '", nearest, "'?)");
  return absl::InvalidArgumentError(
      absl::StrCat("unknown argument '", name.substr(0, kMaxShownBytes), "'", guess,
                   names.empty() ? ": this tool takes no arguments"
                                 : absl::StrCat(": this tool takes ", absl::StrJoin(names, ", "))));
}

absl::Status ArgumentChecker::Explain(const json& arguments,
                                      const SchemaViolation& violation) const {
  const json* schema = &schema_;
  const json* value = &arguments;
  std::string name;
  for (const std::string& step : violation.path) {
    const json* next_schema = Step(*schema, step);
    const json* next_value = Step(value, step);
    if (next_schema == nullptr || next_value == nullptr) break;
    name = name.empty() ? step
                        : absl::StrCat(name, value->is_array() ? "[" : ".", step,
                                       value->is_array() ? "]" : "");
    schema = next_schema;
    value = next_value;
  }
  if (name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the arguments do not fit: ", violation.description));
  }
  const auto default_value = schema->find("default");
  return absl::InvalidArgumentError(
      absl::StrCat("argument '", name, "' is ", Shown(violation.path.front(), *value),
                   "; it must be ", Wanted(*schema), Hint(*value, *schema),
                   default_value == schema->end() || default_value->is_structured()
                       ? ""
                       : absl::StrCat("; left out, it is ", ToJsonText(*default_value))));
}

}  // namespace contree::gateway
