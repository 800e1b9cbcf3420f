#include "gateway/web/connect_section.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace contree::gateway {
namespace {

using nlohmann::ordered_json;

std::string Config(const char* servers_key, const ordered_json& entry) {
  return ordered_json{{servers_key, {{"contree", entry}}}}.dump(2);
}

}  // namespace

std::vector<ConnectionGuide> ConnectionGuides(absl::string_view mcp_url) {
  const std::string url(mcp_url);
  return {
      {"Claude Code", "Run this in a terminal; /mcp in a new session shows the server.",
       absl::StrCat("claude mcp add --transport http contree ", url)},
      {"Claude Desktop",
       "Claude Desktop starts servers on its own machine: install contree-mcp there and run this, "
       "then quit the app and start it again.",
       "contree-mcp install claude-desktop"},
      {"Codex", "Add this to ~/.codex/config.toml.",
       absl::StrCat("[mcp_servers.contree]\nurl = \"", url, "\"")},
      {"Cursor", "Add this to ~/.cursor/mcp.json.", Config("mcpServers", {{"url", url}})},
      {"VS Code", "Add this to .vscode/mcp.json, or to mcp.json of your user profile.",
       Config("servers", {{"type", "http"}, {"url", url}})},
      {"Gemini CLI", "Add this to ~/.gemini/settings.json.",
       Config("mcpServers", {{"httpUrl", url}})},
  };
}

}  // namespace contree::gateway
