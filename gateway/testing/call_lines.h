#ifndef GATEWAY_TESTING_CALL_LINES_H_
#define GATEWAY_TESTING_CALL_LINES_H_

// Texts for agents show calls as lines of code blocks: NAME ARGUMENTS. These have to be calls that
// the server would take.

#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

// Checks every call of a text against the schema of its tool; returns how many there are. Code
// blocks with a language hold something else. `where` is for failures.
int CheckCallLines(absl::string_view markdown, const std::string& where);

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_CALL_LINES_H_
