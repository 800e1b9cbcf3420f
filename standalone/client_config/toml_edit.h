#ifndef STANDALONE_CLIENT_CONFIG_TOML_EDIT_H_
#define STANDALONE_CLIENT_CONFIG_TOML_EDIT_H_

// Changes one table of a TOML text where it stands; every other byte stays as it is.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "standalone/client_config/toml_scan.h"

namespace contree::standalone {

// Keys and their values as TOML writes them.
using TomlValues = std::vector<std::pair<std::string, std::string>>;

// All three return InvalidArgument, with line and column, for a text that is no TOML, and
// FailedPrecondition, with the line, where the table is written in a form that they do not change:
// as an inline table, by dotted keys, or twice. `path` has two names or more.

// The keys and values directly in [path], as they are written; nullopt: there is no such table.
absl::StatusOr<std::optional<TomlValues>> FindTomlTable(absl::string_view text,
                                                        const TomlPath& path);

// The text with these keys in [path]; its other keys and its sub-tables stay. A new table goes to
// the end.
absl::StatusOr<std::string> WithTomlTable(absl::string_view text, const TomlPath& path,
                                          const TomlValues& values);

// The text without [path] and its sub-tables; the text itself when it has none.
absl::StatusOr<std::string> WithoutTomlTable(absl::string_view text, const TomlPath& path);

// A TOML string.
std::string TomlString(absl::string_view text);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_TOML_EDIT_H_
