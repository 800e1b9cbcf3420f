#ifndef STANDALONE_CLIENT_CONFIG_JSON_EDIT_H_
#define STANDALONE_CLIENT_CONFIG_JSON_EDIT_H_

// Changes single members of a JSON text where they stand. Every other byte stays as it is: order,
// indentation, comments, commas before } (see json_parse.h for what is understood). New lines take
// the indentation and the line ends that the text has. An empty text counts as an empty object.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

// The names on the way from the root object to a member.
using JsonPath = std::vector<std::string>;

// All three return InvalidArgument, with line and column, for a text that is no JSON, for a root or
// a parent that is no object, and for a name on the path that an object has twice.

// The member's value as it is written; nullopt: it is not there.
absl::StatusOr<std::optional<std::string>> FindJsonMember(absl::string_view text,
                                                          const JsonPath& path);

// The text with the member set, after the last one of its object when it is new. Missing parents
// are made.
absl::StatusOr<std::string> WithJsonMember(absl::string_view text, const JsonPath& path,
                                           const nlohmann::ordered_json& value);

// The text without the member; the text itself when it has none.
absl::StatusOr<std::string> WithoutJsonMember(absl::string_view text, const JsonPath& path);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_JSON_EDIT_H_
