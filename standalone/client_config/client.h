#ifndef STANDALONE_CLIENT_CONFIG_CLIENT_H_
#define STANDALONE_CLIENT_CONFIG_CLIENT_H_

// The MCP clients that contree-mcp can be set up in: where each keeps its servers, and what an
// entry for this one looks like there.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree::standalone {

enum class ConfigFormat { kJson, kToml };

struct Client {
  absl::string_view name;   // as a person types it: "claude-code"
  absl::string_view title;  // "Claude Code"
  ConfigFormat format = ConfigFormat::kJson;
  absl::string_view servers_key = "mcpServers";  // where servers stand in the file
  bool says_type = false;                        // an entry says "type": "stdio"
  // The file, below the directory that the environment variable names, else below the home
  // directory (or, where it begins with "config:", below the configuration directory).
  absl::string_view directory_variable = "";
  absl::string_view file_in_variable = "";
  absl::string_view file = "";
  absl::string_view next_step;  // what makes the client see the change
};

const std::vector<Client>& Clients();

// nullptr: none has this name.
const Client* FindClient(absl::string_view name);

// The configuration of the user who runs this program, by $HOME, $XDG_CONFIG_HOME and the client's
// own variable. FailedPrecondition: none of them is set.
absl::StatusOr<std::string> ConfigPath(const Client& client);

// How a client starts a server.
struct ServerEntry {
  std::string name = "contree";
  std::string command = {};
  std::vector<std::string> arguments = {};
};

// The configuration's text with this entry. Of an entry of that name which starts a program
// already, only command and arguments change; its environment and the rest stay.
// InvalidArgument and FailedPrecondition: see json_edit.h and toml_edit.h.
absl::StatusOr<std::string> WithServer(const Client& client, absl::string_view text,
                                       const ServerEntry& entry);
// The text without the entry of this name; the text itself when it has none.
absl::StatusOr<std::string> WithoutServer(const Client& client, absl::string_view text,
                                          const std::string& name);

// What to paste into an empty configuration.
std::string Snippet(const Client& client, const ServerEntry& entry);

}  // namespace contree::standalone

#endif  // STANDALONE_CLIENT_CONFIG_CLIENT_H_
