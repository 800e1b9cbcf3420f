#include "standalone/options.h"

#include <stdlib.h>

#include <vector>

#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::standalone {
namespace {

using testing::HasSubstr;
using testing::Not;

// Every test starts with a home of its own and none of our variables.
class OptionsTest : public testing::Test {
 protected:
  OptionsTest() {
    for (const char* name :
         {"CONTREE_MCP_MODE", "CONTREE_MCP_URL", "CONTREE_MCP_TOKEN", "CONTREE_MCP_PROJECT",
          "CONTREE_HOME", "CONTREE_PROFILE", "CONTREE_MCP_HTTP_PORT", "CONTREE_MCP_CONFIG",
          "CONTREE_MCP_STATE_DIR", "CONTREE_MCP_WORKSPACE_ROOT", "XDG_STATE_HOME"}) {
      unsetenv(name);
    }
    setenv("HOME", home_.path().c_str(), 1);
    setenv("XDG_CONFIG_HOME", home_.File("config").c_str(), 1);
  }

  void WriteConfig(const std::string& name, const std::string& content) {
    EXPECT_OK(MakePrivateDirectory(home_.File("config/contree")));
    EXPECT_OK(WritePrivateFile(home_.File("config/contree/") + name, content));
  }

  static ParsedCommandLine Parse(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "contree-mcp");
    return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
  }

  static Options Parsed(const std::vector<const char*>& arguments) {
    const ParsedCommandLine parsed = Parse(arguments);
    EXPECT_TRUE(parsed.options.has_value()) << parsed.text;
    return parsed.options.value_or(Options{});
  }

  TempDirectory home_;
};

TEST_F(OptionsTest, ARemoteInstallationTakesTheTokenFromTheEnvironment) {
  setenv("CONTREE_MCP_REMOTE_TOKEN", "secret", 1);
  const Options options = Parsed({"--remote", "https://contree.example", "--remote-ca", "ca.pem"});
  unsetenv("CONTREE_MCP_REMOTE_TOKEN");
  EXPECT_EQ(options.remote, "https://contree.example");
  EXPECT_EQ(options.remote_token, "secret");
  EXPECT_EQ(options.remote_ca, "ca.pem");
  EXPECT_FALSE(Parse({"--remote", "https://contree.example", "--local"}).options.has_value());
  EXPECT_FALSE(
      Parse({"--remote", "https://contree.example", "--remote-token", "x"}).options.has_value());
}

TEST_F(OptionsTest, WithoutAnythingItServesStdioFromTheEmbeddedBackend) {
  const Options options = Parsed({});
  EXPECT_EQ(options.command, Command::kServe);
  EXPECT_EQ(options.mode, "stdio");
  EXPECT_EQ(options.http_listen, "127.0.0.1");
  EXPECT_EQ(options.http_port, 9452);
  EXPECT_EQ(options.url, "");
  EXPECT_EQ(options.state_dir, home_.File(".local/state/contree-mcp"));
}

TEST_F(OptionsTest, FlagsBeatTheEnvironmentWhichBeatsTheFile) {
  WriteConfig("mcp.ini",
              "[DEFAULT]\nurl = https://file.example\ntoken = file-token\nmode = http\nunknown = "
              "1\n[http]\nport = 1\n");
  Options options = Parsed({});
  EXPECT_EQ(options.url, "https://file.example");
  EXPECT_EQ(options.token, "file-token");
  EXPECT_EQ(options.http_port, 1);
  EXPECT_EQ(options.mode, "http");
  setenv("CONTREE_MCP_HTTP_PORT", "2", 1);
  setenv("CONTREE_MCP_TOKEN", "environment-token", 1);
  options = Parsed({});
  EXPECT_EQ(options.http_port, 2);
  EXPECT_EQ(options.token, "environment-token");
  options = Parsed({"--http-port", "3", "--token", "flag-token"});
  EXPECT_EQ(options.http_port, 3);
  EXPECT_EQ(options.token, "flag-token");
  EXPECT_TRUE(options.token_was_a_flag);
}

TEST_F(OptionsTest, DirectoriesThatToolsMayTouchAreListedOrRepeated) {
  EXPECT_TRUE(Parsed({}).workspace_roots.empty());
  EXPECT_EQ(Parsed({"--workspace-root", "/a", "--workspace-root", "/b"}).workspace_roots,
            (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(Parsed({"--workspace-root", "/a", "demo"}).command, Command::kDemo);
  WriteConfig("mcp.ini", "workspace-root = /file\n");
  EXPECT_EQ(Parsed({}).workspace_roots, std::vector<std::string>{"/file"});
  setenv("CONTREE_MCP_WORKSPACE_ROOT", "/c:/d", 1);
  EXPECT_EQ(Parsed({}).workspace_roots, (std::vector<std::string>{"/c", "/d"}));
}

TEST_F(OptionsTest, ATokenAloneGoesToTheDefaultPlatform) {
  EXPECT_EQ(Parsed({"--token", "t"}).url, "https://contree.dev");
  EXPECT_EQ(Parsed({"--token", "t", "--project", "p"}).url,
            "https://api.tokenfactory.nebius.com/sandboxes");
  EXPECT_EQ(Parsed({"--token", "t", "--url", "http://127.0.0.1:1/x/"}).url, "http://127.0.0.1:1/x");
}

TEST_F(OptionsTest, TheActiveProfileOfAuthIniIsUsed) {
  WriteConfig("auth.ini",
              "[DEFAULT]\nprofile = work\n[profile:work]\ntoken = abc.def-ghi\ntype = iam\nproject "
              "= project-1\n"
              "[profile:home]\ntoken = xyz\nurl = http://127.0.0.1:9/\n");
  Options options = Parsed({});
  EXPECT_EQ(options.token, "abc.def-ghi");
  EXPECT_EQ(options.project, "project-1");
  EXPECT_EQ(options.url, "https://api.tokenfactory.nebius.com/sandboxes");
  setenv("CONTREE_PROFILE", "home", 1);
  options = Parsed({});
  EXPECT_EQ(options.url, "http://127.0.0.1:9");
  EXPECT_EQ(options.token, "xyz");
  EXPECT_EQ(Parsed({"--local"}).url, "");
  EXPECT_EQ(Parsed({"demo"}).url, "");
}

TEST_F(OptionsTest, AProfileThatMakesNoSenseIsNamedWithoutItsToken) {
  WriteConfig("auth.ini", "[profile:default]\ntoken = secret-1\n");
  ParsedCommandLine parsed = Parse({});
  EXPECT_EQ(parsed.exit_code, 2);
  EXPECT_THAT(parsed.text, HasSubstr("[profile:default]: url is missing"));
  EXPECT_THAT(parsed.text, Not(HasSubstr("secret-1")));
  WriteConfig("auth.ini", "[profile:default]\ntoken = secret-1\ntype = iam\n");
  EXPECT_THAT(Parse({}).text, HasSubstr("project is missing"));
  WriteConfig("auth.ini", "[profile:default]\nurl = http://x\n");
  EXPECT_THAT(Parse({}).text, HasSubstr("token is missing"));
  setenv("CONTREE_PROFILE", "other", 1);
  EXPECT_THAT(Parse({}).text, HasSubstr("[profile:other]"));
}

TEST_F(OptionsTest, MistakesAreSaid) {
  for (const auto& [arguments, text] :
       std::vector<std::pair<std::vector<const char*>, const char*>>{
           {{"--mode", "pigeon"}, "pigeon"},
           {{"--http-port", "65536"}, "65536"},
           {{"--no-such-flag"}, "--no-such-flag"},
           {{"--url", "ftp://x"}, "ftp://x"}}) {
    const ParsedCommandLine parsed = Parse(arguments);
    EXPECT_NE(parsed.exit_code, 0) << text;
    EXPECT_THAT(parsed.text, HasSubstr(text));
  }
  WriteConfig("mcp.ini", "mode = pigeon\n");
  EXPECT_THAT(Parse({}).text, HasSubstr("pigeon"));
  EXPECT_THAT(Parse({"--config", "/no/such/file"}).text, HasSubstr("/no/such/file"));
  EXPECT_EQ(Parse({"--help"}).exit_code, 0);
  EXPECT_THAT(Parse({"--help"}).text, HasSubstr("demo"));
}

}  // namespace
}  // namespace contree::standalone
