#include "standalone/client_config/client.h"

#include <stdlib.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"
#include "standalone/client_config/json_edit.h"
#include "standalone/client_config/toml_edit.h"

namespace contree::standalone {
namespace {

using nlohmann::ordered_json;

TomlValues TomlValuesOf(const ServerEntry& entry) {
  const std::string arguments = absl::StrJoin(
      entry.arguments, ", ",
      [](std::string* out, const std::string& word) { absl::StrAppend(out, TomlString(word)); });
  return {{"command", TomlString(entry.command)}, {"args", absl::StrCat("[", arguments, "]")}};
}

absl::StatusOr<std::string> WithJsonServer(const Client& client, absl::string_view text,
                                           const ServerEntry& entry) {
  const JsonPath path = {std::string(client.servers_key), entry.name};
  const auto member = [&path](const char* name) {
    JsonPath longer = path;
    longer.emplace_back(name);
    return longer;
  };
  ordered_json whole = ordered_json::object();
  if (client.says_type) whole["type"] = "stdio";
  whole["command"] = entry.command;
  whole["args"] = entry.arguments;
  ASSIGN_OR_RETURN(const auto existing, FindJsonMember(text, path));
  const bool is_object = existing.has_value() && absl::StartsWith(*existing, "{");
  bool starts_a_program = false;
  if (is_object) {
    ASSIGN_OR_RETURN(const auto command, FindJsonMember(text, member("command")));
    starts_a_program = command.has_value();
  }
  if (!starts_a_program) return WithJsonMember(text, path, whole);
  std::string result(text);
  for (const auto& [name, value] : whole.items()) {
    ASSIGN_OR_RETURN(result, WithJsonMember(result, member(name.c_str()), value));
  }
  return result;
}

}  // namespace

const std::vector<Client>& Clients() {
  static const auto& clients = *new std::vector<Client>{
      {.name = "claude-code",
       .title = "Claude Code",
       .says_type = true,
       .directory_variable = "CLAUDE_CONFIG_DIR",
       .file_in_variable = ".claude.json",
       .file = ".claude.json",
       .next_step = "Start a new session; /mcp shows the server."},
      {.name = "claude-desktop",
       .title = "Claude Desktop",
       .file = "config:Claude/claude_desktop_config.json",
       .next_step = "Quit Claude Desktop and start it again."},
      {.name = "codex",
       .title = "Codex",
       .format = ConfigFormat::kToml,
       .servers_key = "mcp_servers",
       .directory_variable = "CODEX_HOME",
       .file_in_variable = "config.toml",
       .file = ".codex/config.toml",
       .next_step = "Start a new session; /mcp shows the server."},
      {.name = "cursor",
       .title = "Cursor",
       .file = ".cursor/mcp.json",
       .next_step = "Cursor sees it at once; its settings list it under MCP."},
      {.name = "vscode",
       .title = "VS Code",
       .servers_key = "servers",
       .says_type = true,
       .file = "config:Code/User/mcp.json",
       .next_step = "The command 'MCP: List Servers' shows it, and starts it."},
      {.name = "gemini",
       .title = "Gemini CLI",
       .file = ".gemini/settings.json",
       .next_step = "Start a new session; /mcp shows the server."},
  };
  return clients;
}

const Client* FindClient(absl::string_view name) {
  const auto found = std::find_if(Clients().begin(), Clients().end(),
                                  [name](const Client& client) { return client.name == name; });
  return found == Clients().end() ? nullptr : &*found;
}

absl::StatusOr<std::string> ConfigPath(const Client& client) {
  if (!client.directory_variable.empty()) {
    const char* directory = getenv(std::string(client.directory_variable).c_str());
    if (directory != nullptr && directory[0] == '/') {
      return absl::StrCat(directory, "/", client.file_in_variable);
    }
  }
  const char* home = getenv("HOME");
  absl::string_view file = client.file;
  if (absl::ConsumePrefix(&file, "config:")) {
    const char* config = getenv("XDG_CONFIG_HOME");
    if (config != nullptr && config[0] == '/') return absl::StrCat(config, "/", file);
    if (home != nullptr && home[0] == '/') return absl::StrCat(home, "/.config/", file);
  } else if (home != nullptr && home[0] == '/') {
    return absl::StrCat(home, "/", file);
  }
  return absl::FailedPreconditionError(absl::StrCat("HOME is not set, so the configuration of ",
                                                    client.title, " cannot be found: set HOME"));
}

absl::StatusOr<std::string> WithServer(const Client& client, absl::string_view text,
                                       const ServerEntry& entry) {
  if (client.format == ConfigFormat::kJson) return WithJsonServer(client, text, entry);
  const TomlPath path = {std::string(client.servers_key), entry.name};
  ASSIGN_OR_RETURN(const auto existing, FindTomlTable(text, path));
  // An entry for a server elsewhere has keys that exclude a command.
  if (existing.has_value() &&
      std::any_of(existing->begin(), existing->end(),
                  [](const auto& key_and_value) { return key_and_value.first == "url"; })) {
    ASSIGN_OR_RETURN(const std::string without, WithoutTomlTable(text, path));
    return WithTomlTable(without, path, TomlValuesOf(entry));
  }
  return WithTomlTable(text, path, TomlValuesOf(entry));
}

absl::StatusOr<std::string> WithoutServer(const Client& client, absl::string_view text,
                                          const std::string& name) {
  if (client.format == ConfigFormat::kJson) {
    return WithoutJsonMember(text, {std::string(client.servers_key), name});
  }
  return WithoutTomlTable(text, {std::string(client.servers_key), name});
}

std::string Snippet(const Client& client, const ServerEntry& entry) {
  return WithServer(client, "", entry).value_or("");
}

}  // namespace contree::standalone
