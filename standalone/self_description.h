#ifndef STANDALONE_SELF_DESCRIPTION_H_
#define STANDALONE_SELF_DESCRIPTION_H_

// Manual pages and shell completion, made from the options that the program parses, so that they
// cannot say anything else.

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace CLI {
class App;
}  // namespace CLI

namespace contree::standalone {

// The manual page (roff, man macros) of the program, or of one of its sub-commands.
// InvalidArgument: there is no such sub-command.
absl::StatusOr<std::string> ManualPage(const CLI::App& app, absl::string_view subcommand);

// The script that makes `shell` ("bash", "zsh" or "fish") complete sub-commands, options and the
// values that an option may have.
std::string CompletionScript(const CLI::App& app, absl::string_view shell);

}  // namespace contree::standalone

#endif  // STANDALONE_SELF_DESCRIPTION_H_
