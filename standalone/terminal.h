#ifndef STANDALONE_TERMINAL_H_
#define STANDALONE_TERMINAL_H_

// The person at the terminal, if there is one.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

// Whether standard input is a terminal, so that somebody can be asked.
bool SomebodyIsThere();

// Asks on standard error and reads the answer from standard input: true for y or yes. The end of
// the input is a no.
bool AskYesOrNo(absl::string_view question);

// One line from standard input, without white space around it; from a terminal after `prompt`,
// without showing what is typed. InvalidArgument: empty, or longer than 64 KiB.
absl::StatusOr<std::string> ReadSecret(absl::string_view prompt);

}  // namespace contree::standalone

#endif  // STANDALONE_TERMINAL_H_
