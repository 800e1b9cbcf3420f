#include "standalone/client_config/client.h"

#include <stdlib.h>

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"

namespace contree::standalone {
namespace {

using testing::HasSubstr;

const ServerEntry kEntry = {
    .name = "contree", .command = "/opt/contree-mcp", .arguments = {"--state-dir", "/s p"}};

const Client& ClientNamed(absl::string_view name) {
  const Client* client = FindClient(name);
  EXPECT_NE(client, nullptr) << name;
  return *client;
}

TEST(ClientTest, EachHasItsFile) {
  setenv("HOME", "/home/u", 1);
  for (const char* name : {"XDG_CONFIG_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"}) unsetenv(name);
  const std::pair<const char*, const char*> expected[] = {
      {"claude-code", "/home/u/.claude.json"},
      {"claude-desktop", "/home/u/.config/Claude/claude_desktop_config.json"},
      {"codex", "/home/u/.codex/config.toml"},
      {"cursor", "/home/u/.cursor/mcp.json"},
      {"vscode", "/home/u/.config/Code/User/mcp.json"},
      {"gemini", "/home/u/.gemini/settings.json"}};
  EXPECT_EQ(Clients().size(), std::size(expected));
  for (const auto& [name, path] : expected) {
    EXPECT_EQ(ConfigPath(ClientNamed(name)).value(), path);
  }
  EXPECT_EQ(FindClient("emacs"), nullptr);
  setenv("XDG_CONFIG_HOME", "/c", 1);
  setenv("CODEX_HOME", "/x", 1);
  setenv("CLAUDE_CONFIG_DIR", "/y", 1);
  EXPECT_EQ(ConfigPath(ClientNamed("vscode")).value(), "/c/Code/User/mcp.json");
  EXPECT_EQ(ConfigPath(ClientNamed("codex")).value(), "/x/config.toml");
  EXPECT_EQ(ConfigPath(ClientNamed("claude-code")).value(), "/y/.claude.json");
  unsetenv("HOME");
  EXPECT_THAT(ConfigPath(ClientNamed("cursor")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("HOME")));
}

TEST(ClientTest, SnippetsAreWhatEachClientReads) {
  EXPECT_EQ(nlohmann::json::parse(Snippet(ClientNamed("cursor"), kEntry)),
            nlohmann::json::parse(R"({"mcpServers": {"contree": {
                "command": "/opt/contree-mcp", "args": ["--state-dir", "/s p"]}}})"));
  EXPECT_EQ(nlohmann::json::parse(Snippet(ClientNamed("vscode"), kEntry)),
            nlohmann::json::parse(R"({"servers": {"contree": {"type": "stdio",
                "command": "/opt/contree-mcp", "args": ["--state-dir", "/s p"]}}})"));
  EXPECT_EQ(Snippet(ClientNamed("codex"), kEntry),
            "[mcp_servers.contree]\ncommand = \"/opt/contree-mcp\"\nargs = [\"--state-dir\", \"/s "
            "p\"]\n");
}

TEST(ClientTest, AnEntryThatIsThereKeepsItsOtherSettings) {
  EXPECT_EQ(
      WithServer(ClientNamed("claude-code"),
                 R"({"mcpServers": {"contree": {"command": "/old", "env": {"A": "1"}}}})",
                 {.command = "/new"})
          .value(),
      R"({"mcpServers": {"contree": {"command": "/new", "env": {"A": "1"}, "type": "stdio", "args": []}}})");
  EXPECT_EQ(WithServer(ClientNamed("codex"),
                       "[mcp_servers.contree]\ncommand = \"/old\"\nenabled = false\n",
                       {.command = "/new"})
                .value(),
            "[mcp_servers.contree]\ncommand = \"/new\"\nenabled = false\nargs = []\n");
}

TEST(ClientTest, AnEntryForAServerElsewhereIsReplacedWhole) {
  EXPECT_EQ(WithServer(ClientNamed("cursor"),
                       R"({"mcpServers": {"contree": {"url": "http://127.0.0.1:9452/mcp"}}})",
                       {.command = "/new"})
                .value(),
            "{\"mcpServers\": {\"contree\": {\n  \"command\": \"/new\",\n  \"args\": []\n}}}");
  EXPECT_EQ(WithServer(ClientNamed("codex"),
                       "[mcp_servers.contree]\nurl = \"http://127.0.0.1:9452/mcp\"\n[b]\n",
                       {.command = "/new"})
                .value(),
            "[b]\n\n[mcp_servers.contree]\ncommand = \"/new\"\nargs = []\n");
}

TEST(ClientTest, InstallingTwiceChangesNothingAndUninstallingGivesBackWhatWasThere) {
  for (const Client& client : Clients()) {
    const std::string before = client.format == ConfigFormat::kJson
                                   ? "{\n  \"a\": 1,\n  \"" + std::string(client.servers_key) +
                                         "\": {\n    \"x\": {}\n  }\n}\n"
                                   : "a = 1\n\n[mcp_servers.x]\ncommand = \"x\"\n";
    ASSERT_OK_AND_ASSIGN(const std::string once, WithServer(client, before, kEntry));
    EXPECT_NE(once, before);
    EXPECT_EQ(WithServer(client, once, kEntry).value(), once) << client.name;
    EXPECT_EQ(WithoutServer(client, once, "contree").value(), before) << client.name;
    EXPECT_EQ(WithoutServer(client, once, "other").value(), once) << client.name;
  }
}

}  // namespace
}  // namespace contree::standalone
