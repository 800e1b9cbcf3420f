#ifndef COMMON_TEXT_JSON_TEXT_H_
#define COMMON_TEXT_JSON_TEXT_H_

// Makes JSON text: compact, on one line, bytes that are no UTF-8 replaced.
// Thread-safe.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/strings/string_view.h"

namespace contree {

std::string ToJsonText(const nlohmann::json& value);
std::string ToJsonText(const nlohmann::ordered_json& value);
// A JSON string with its quotes.
std::string ToJsonString(absl::string_view text);
void AppendJsonString(absl::string_view text, std::string* json);

}  // namespace contree

#endif  // COMMON_TEXT_JSON_TEXT_H_
