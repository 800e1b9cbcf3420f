#ifndef STANDALONE_CLIENT_CONFIG_JSON_PARSE_H_
#define STANDALONE_CLIENT_CONFIG_JSON_PARSE_H_

// Where the parts of a JSON text are, for who edits it in place. What editors write into their
// configuration is understood as well: // and /* */ comments, commas before } and ], a byte order
// mark.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

struct JsonMember;

// A value; [begin, end) are offsets in the text.
struct JsonValue {
  size_t begin = 0;
  size_t end = 0;
  bool is_object = false;
  std::vector<JsonMember> members = {};  // of an object
};

struct JsonMember {
  std::string name = {};
  size_t name_begin = 0;
  JsonValue value = {};
  size_t comma = absl::string_view::npos;  // the one behind it; npos: none
};

// InvalidArgument: no JSON; the message says where and what was expected.
absl::StatusOr<JsonValue> ParseJsonText(absl::string_view text);

// Behind whitespace and comments that begin at `offset`; before a comment that has no end.
size_t SkipJsonBlanks(absl::string_view text, size_t offset);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_JSON_PARSE_H_
