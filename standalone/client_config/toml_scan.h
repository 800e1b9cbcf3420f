#ifndef STANDALONE_CLIENT_CONFIG_TOML_SCAN_H_
#define STANDALONE_CLIENT_CONFIG_TOML_SCAN_H_

// Where the tables and keys of a TOML text are, for who edits it in place.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

using TomlPath = std::vector<std::string>;

// A table's header or a key with its value. [begin, end) are whole lines, a value's further lines
// included; blank lines and comments between entries belong to none.
struct TomlEntry {
  enum class Kind { kTable, kArrayOfTables, kKey };
  Kind kind = Kind::kKey;
  size_t begin = 0;
  size_t end = 0;
  TomlPath path = {};      // from the root: a key's begins with its table's
  size_t value_begin = 0;  // of a key
  size_t value_end = 0;
};

// In the order of the text. InvalidArgument: no TOML; the message says where and what was expected.
// (What a value means is not looked at beyond where it ends.)
absl::StatusOr<std::vector<TomlEntry>> ScanToml(absl::string_view text);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_TOML_SCAN_H_
