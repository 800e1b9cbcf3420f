// `contree-mcp install` and `uninstall`, as a person types them, on configurations as clients write
// them.

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code;
  std::string output;
};

class InstallTest : public testing::Test {
 protected:
  Ended Run(std::vector<std::string> words) {
    words.insert(words.begin(), Program("standalone/contree-mcp"));
    return RunCommand(words);
  }

  // At a terminal on which `typed` is typed.
  Ended RunAtATerminal(const std::string& typed, const std::string& arguments) {
    return RunCommand(
        {"/bin/sh", "-c",
         absl::StrCat("printf '", typed, "' | script -qec \"", Program("standalone/contree-mcp"),
                      " ", arguments, "\" /dev/null")});
  }

  Ended RunCommand(const std::vector<std::string>& words) {
    const auto process = ServerProcess::Start(words, {{"HOME", home_.path()},
                                                      {"XDG_CONFIG_HOME", ""},
                                                      {"CODEX_HOME", ""},
                                                      {"CLAUDE_CONFIG_DIR", ""}});
    EXPECT_OK(process.status());
    const absl::StatusOr<int> exit_code = (*process)->Wait(absl::Seconds(60));
    EXPECT_OK(exit_code.status());
    return {exit_code.value_or(-1), (*process)->Output()};
  }

  void Write(const std::string& name, const std::string& content, mode_t mode = 0600) {
    std::filesystem::create_directories(std::filesystem::path(home_.File(name)).parent_path());
    std::ofstream(home_.File(name)) << content;
    EXPECT_EQ(chmod(home_.File(name).c_str(), mode), 0);
  }
  std::string Content(const std::string& name) {
    return ReadFile(home_.File(name), 1 << 20).value_or("none");
  }
  int Backups(const std::string& name) {
    int count = 0;
    const std::filesystem::path path = home_.File(name);
    for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
      count += absl::StartsWith(entry.path().string(), absl::StrCat(path.string(), ".")) &&
                       absl::EndsWith(entry.path().string(), ".bak")
                   ? 1
                   : 0;
    }
    return count;
  }

  TempDirectory home_;
};

TEST_F(InstallTest, EveryClientGetsItKeepsTheRestAndLosesItAgain) {
  const struct {
    const char* client;
    const char* file;
    const char* content;
  } cases[] = {
      {"claude-code", ".claude.json",
       R"({
  "numStartups": 41,
  "tipsHistory": {
    "new-user-warmup": 1
  },
  "oauthAccount": {
    "accountUuid": "0b8e"
  },
  "mcpServers": {
    "github": {
      "type": "http",
      "url": "https://api.example/mcp",
      "headers": {
        "Authorization": "Bearer s3cret"
      }
    }
  },
  "projects": {
    "/home/u/x": {
      "allowedTools": [],
      "mcpServers": {}
    }
  }
})"},
      {"claude-desktop", ".config/Claude/claude_desktop_config.json",
       "{\n  \"globalShortcut\": \"\",\n  \"mcpServers\": {\n    \"files\": {\n      \"command\": "
       "\"npx\",\n      \"args\": [\"-y\", \"x\"]\n    }\n  }\n}\n"},
      {"codex", ".codex/config.toml",
       R"(model = "gpt-5-codex" # mine
approval_policy = "on-request"

[projects."/home/u/x"]
trust_level = "trusted"

[mcp_servers.docs]
command = "npx"
args = [
  "-y",
  "docs@latest", # pinned later
]
[mcp_servers.docs.env]
API_KEY = "s3cret"

[tui]
notifications = true
)"},
      {"cursor", ".cursor/mcp.json",
       "{\n\t\"mcpServers\": {\n\t\t\"db\": {\n\t\t\t\"command\": \"uvx\",\n\t\t\t\"env\": "
       "{ \"PASSWORD\": \"s3cret\" }\n\t\t}\n\t}\n}\n"},
      {"vscode", ".config/Code/User/mcp.json",
       R"({
	// Asked for once, kept by VS Code
	"inputs": [
		{ "type": "promptString", "id": "key", "password": true },
	],
	"servers": {
		"memory": { "command": "npx", "args": ["-y", "memory"], }, // local
		/* "off": { "type": "stdio", "command": "x" }, */
	},
}
)"},
      {"gemini", ".gemini/settings.json",
       "{\n  \"security\": {\"auth\": {\"selectedType\": \"gemini-api-key\"}},\n  \"ui\": "
       "{\"theme\": \"Default\"}\n}\n"},
  };
  for (const auto& [client, file, content] : cases) {
    SCOPED_TRACE(client);
    Write(file, content, 0640);
    Ended ended = Run({"install", client, "--yes", "--", "--local"});
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(home_.File(file)));
    EXPECT_THAT(ended.output, HasSubstr("contree-mcp"));
    EXPECT_THAT(ended.output, Not(HasSubstr("s3cret")));
    const std::string installed = Content(file);
    EXPECT_THAT(installed, HasSubstr("--local"));
    EXPECT_EQ(Backups(file), 1);
    struct stat info {};
    EXPECT_EQ(stat(home_.File(file).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640u);

    ended = Run({"install", client, "--", "--local"});  // nothing to do, so nothing to ask
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("already"));
    EXPECT_EQ(Content(file), installed);
    EXPECT_EQ(Backups(file), 1);

    ended = Run({"uninstall", client, "-y"});
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    // Gemini's had no servers at all: an empty "mcpServers" stays.
    if (std::string(client) != "gemini") {
      EXPECT_EQ(Content(file), content);
    }
    EXPECT_THAT(Content(file), Not(HasSubstr("contree")));
    ended = Run({"uninstall", client});
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("has no 'contree'"));
  }
}

TEST_F(InstallTest, WhereThereIsNoConfigurationOneIsMade) {
  for (const char* client :
       {"claude-code", "claude-desktop", "codex", "cursor", "vscode", "gemini"}) {
    const Ended printed = Run({"install", client, "--print", "--name", "boxes"});
    EXPECT_EQ(printed.exit_code, 0);
    const Ended ended = Run({"install", client, "--yes", "--name", "boxes"});
    EXPECT_EQ(ended.exit_code, 0) << ended.output;
    EXPECT_THAT(ended.output, HasSubstr("(new)"));
    bool found = false;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(home_.path())) {
      if (!entry.is_regular_file()) continue;
      found |= ReadFile(entry.path().string(), 1 << 20).value_or("") == printed.output;
    }
    EXPECT_TRUE(found) << client << " has not what --print shows: " << printed.output;
  }
}

TEST_F(InstallTest, ABrokenConfigurationIsLeftAsItIsAndTheMistakeIsNamed) {
  Write(".cursor/mcp.json", "{\n  \"mcpServers\": {\n    \"a\": {}\n    \"b\": {}\n  }\n}\n");
  Ended ended = Run({"install", "cursor", "--yes"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("mcp.json: line 4, column 5: ',' or '}' is expected"));
  EXPECT_EQ(Content(".cursor/mcp.json"),
            "{\n  \"mcpServers\": {\n    \"a\": {}\n    \"b\": {}\n  }\n}\n");
  Write(".codex/config.toml", "model = \"x\nb = 1\n");
  ended = Run({"uninstall", "codex", "--yes"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("config.toml: line 1, column 9: this string has no end"));
  Write(".codex/config.toml", "[mcp_servers]\ncontree = { command = \"x\" }\n");
  ended = Run({"install", "codex", "--yes"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("line 2 defines mcp_servers.contree in a form"));
  EXPECT_EQ(Backups(".cursor/mcp.json") + Backups(".codex/config.toml"), 0);
}

TEST_F(InstallTest, AReadOnlyConfigurationIsNotReplaced) {
  Write(".cursor/mcp.json", "{}\n", 0400);
  const Ended ended = Run({"install", "cursor", "--yes"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("chmod u+w"));
  EXPECT_EQ(Content(".cursor/mcp.json"), "{}\n");
  EXPECT_EQ(Backups(".cursor/mcp.json"), 0);
}

TEST_F(InstallTest, APersonIsAskedFirst) {
  Ended ended = Run({"install", "cursor"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("--yes"));
  EXPECT_EQ(Content(".cursor/mcp.json"), "none");

  ended = RunAtATerminal("n\\n", "install cursor");
  EXPECT_THAT(ended.output, HasSubstr("Write this? [y/N]"));
  EXPECT_THAT(ended.output, HasSubstr("nothing was changed"));
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_EQ(Content(".cursor/mcp.json"), "none");

  ended = RunAtATerminal("y\\n", "install cursor");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(Content(".cursor/mcp.json"), HasSubstr("contree-mcp"));
}

TEST_F(InstallTest, MistakesAreSaid) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{"install", "emacs"}, "emacs"},
      {{"install", "cursor", "--name", "a.b"}, "letters, digits"},
      {{"install", "cursor", "--yes", "--", "--token", "s3cret"}, "contree-mcp login"},
      {{"install"}, "CLIENT is required"}};
  for (const auto& [words, message] : cases) {
    const Ended ended = Run(words);
    EXPECT_NE(ended.exit_code, 0);
    EXPECT_THAT(ended.output, HasSubstr(message));
    EXPECT_THAT(ended.output, Not(HasSubstr("s3cret")));
  }
  EXPECT_TRUE(std::filesystem::is_empty(home_.path()));
}

}  // namespace
}  // namespace contree::testing_harness
