#include "contree-service/api/json_fields.h"

#include <cmath>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/text/json_text.h"

namespace contree::json_fields {
namespace {

// Numbers arrive as integers or as floats, whichever the platform's language made of them.
double AsNumber(const Json& value) { return value.is_number() ? value.get<double>() : 0; }

}  // namespace

namespace {

absl::StatusOr<Json> ParseWith(const Json::parser_callback_t& keep, absl::string_view text,
                               absl::string_view what) {
  Json json = Json::parse(text.begin(), text.end(), keep, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return absl::UnavailableError(absl::StrCat(what, ": the platform's answer is not valid JSON"));
  return json;
}

}  // namespace

absl::StatusOr<Json> Parse(absl::string_view text, absl::string_view what) {
  return ParseWith(nullptr, text, what);
}

absl::StatusOr<Json> ParseOperation(absl::string_view text, absl::string_view what) {
  constexpr int kDepthOfMetadata = 2;
  return ParseWith(
      [](int depth, Json::parse_event_t event, const Json& parsed) {
        return event != Json::parse_event_t::key || depth > kDepthOfMetadata || parsed != "files";
      },
      text, what);
}

const Json& Member(const Json& object, const char* name) {
  static const Json& null = *new Json();
  if (!object.is_object()) return null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

std::string String(const Json& object, const char* name) {
  const Json& value = Member(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

int64_t Int(const Json& object, const char* name, int64_t otherwise) {
  const Json& value = Member(object, name);
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number()) return otherwise;
  const double number = value.get<double>();
  // What no int64 can hold would be undefined to convert.
  if (!(std::abs(number) < static_cast<double>(std::numeric_limits<int64_t>::max())))
    return otherwise;
  return static_cast<int64_t>(number);
}

double Number(const Json& object, const char* name) { return AsNumber(Member(object, name)); }

bool Bool(const Json& object, const char* name) {
  const Json& value = Member(object, name);
  return value.is_boolean() && value.get<bool>();
}

absl::Time Time(const Json& object, const char* name) {
  const std::string text = String(object, name);
  absl::Time time;
  std::string ignored;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &ignored) ||
      absl::ParseTime("%Y-%m-%dT%H:%M:%E*S", text, absl::UTCTimeZone(), &time, &ignored)) {
    return time;
  }
  return absl::InfinitePast();
}

std::string StreamBytes(const Json& stream) {
  std::string value = String(stream, "value");
  if (String(stream, "encoding") != "base64") return value;
  std::string bytes;
  return absl::Base64Unescape(value, &bytes) ? bytes : value;
}

std::string Dump(const Json& json) { return ToJsonText(json); }

}  // namespace contree::json_fields
