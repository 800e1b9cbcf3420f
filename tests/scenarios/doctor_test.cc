// `contree-mcp doctor` and `status` on this machine, on one that cannot isolate, and with a
// platform that is not there.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "standalone/mcp_stdio_client.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code;
  std::string output;
};

class DoctorTest : public testing::Test {
 protected:
  std::vector<std::string> Words(std::vector<std::string> words) {
    words.insert(words.begin(), Program("standalone/contree-mcp"));
    words.insert(words.end(), {"--state-dir", state_dir()});
    return words;
  }
  std::string state_dir() const { return home_.File("state"); }

  Ended Run(const std::vector<std::string>& words,
            std::map<std::string, std::string> environment = {}) {
    environment.insert({{"HOME", home_.path()},
                        {"XDG_CONFIG_HOME", ""},
                        {"CONTREE_HOME", ""},
                        {"CONTREE_PROFILE", ""},
                        {"CONTREE_MCP_URL", ""},
                        {"CONTREE_MCP_TOKEN", ""}});
    const auto process = ServerProcess::Start(words, environment);
    EXPECT_OK(process.status());
    const absl::StatusOr<int> exit_code = (*process)->Wait(absl::Seconds(120));
    EXPECT_OK(exit_code.status());
    return {exit_code.value_or(-1), (*process)->Output()};
  }

  static std::string StateOf(const json& report, const std::string& name) {
    for (const json& check : report.at("checks")) {
      if (check.at("name") == name) return check.at("state").get<std::string>();
    }
    return absl::StrCat("no check is called ", name);
  }

  TempDirectory home_;
};

TEST_F(DoctorTest, AMachineThatCanIsolateIsWell) {
  Ended ended = Run(Words({"doctor"}));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("ok    user namespaces"));
  EXPECT_THAT(ended.output, HasSubstr("bubblewrap 0."));
  EXPECT_THAT(ended.output, HasSubstr("ran a command in a sandbox"));
  EXPECT_THAT(ended.output, HasSubstr("Everything that is needed works"));

  ended = Run(Words({"doctor", "--json"}));
  EXPECT_EQ(ended.exit_code, 0);
  const json report = json::parse(ended.output);
  EXPECT_EQ(report.at("ok"), true);
  for (const char* name : {"user namespaces", "seccomp", "bwrap", "disk", "backend"}) {
    EXPECT_EQ(StateOf(report, name), "ok") << report.dump(1);
  }
  for (const char* name : {"subordinate ids", "cgroups", "network", "newuidmap", "busybox",
                           "credentials", "upstream", "clock"}) {
    EXPECT_THAT(StateOf(report, name), Not(HasSubstr("no check"))) << report.dump(1);
  }
}

TEST_F(DoctorTest, OneThatCannotIsToldWhatMendsIt) {
  std::vector<std::string> words = {"/usr/bin/unshare",
                                    "--user",
                                    "--map-root-user",
                                    "sh",
                                    "-c",
                                    "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\" "
                                    "2>/dev/null",
                                    "sh"};
  const std::vector<std::string> doctor = Words({"doctor", "--json"});
  words.insert(words.end(), doctor.begin(), doctor.end());
  const Ended ended = Run(words);
  EXPECT_EQ(ended.exit_code, 1);
  const json report = json::parse(ended.output);
  EXPECT_EQ(report.at("ok"), false);
  EXPECT_EQ(StateOf(report, "user namespaces"), "failed");
  EXPECT_EQ(StateOf(report, "backend"), "failed");
  EXPECT_EQ(StateOf(report, "disk"), "ok");
  EXPECT_NE(report.at("checks").at(0).at("remedy"), "");
}

TEST_F(DoctorTest, AProgramThatIsMissingIsNamedWithItsPackage) {
  const Ended ended = Run(Words({"doctor"}), {{"PATH", home_.path()}});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("FAIL  bwrap             is missing"));
  EXPECT_THAT(ended.output, HasSubstr("sudo apt-get install bubblewrap"));
  EXPECT_THAT(ended.output, HasSubstr("sudo apt-get install busybox-static"));
}

TEST_F(DoctorTest, APlatformThatIsNotThereIsSaidWithoutTheToken) {
  const Ended ended = Run(Words({"doctor"}), {{"CONTREE_MCP_URL", "http://127.0.0.1:1"},
                                              {"CONTREE_MCP_TOKEN", "s3cret"}});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("FAIL  upstream"));
  EXPECT_THAT(ended.output, HasSubstr("http://127.0.0.1:1"));
  EXPECT_THAT(ended.output, Not(HasSubstr("s3cret")));
}

TEST_F(DoctorTest, ABrokenProfileIsAFindingNotTheEnd) {
  ASSERT_OK(MakePrivateDirectory(home_.File(".config/contree")));
  ASSERT_OK(WritePrivateFile(home_.File(".config/contree/auth.ini"),
                             "[profile:default]\ntoken = s3cret\n"));
  const Ended ended = Run(Words({"doctor"}));
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr("FAIL  credentials"));
  EXPECT_THAT(ended.output, HasSubstr("url is missing"));
  EXPECT_THAT(ended.output, Not(HasSubstr("s3cret")));
  EXPECT_THAT(Run(Words({"status"})).output, HasSubstr("url is missing"));
}

TEST_F(DoctorTest, StatusSaysWhatRunsAndStartsNothing) {
  Ended ended = Run(Words({"status"}));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("does not run"));
  EXPECT_THAT(ended.output, HasSubstr("nothing yet"));
  EXPECT_NE(access(state_dir().c_str(), F_OK), 0);

  ASSERT_OK_AND_ASSIGN(const auto session, standalone::McpStdioClient::Start(Words({"--local"})));
  ASSERT_OK(session->Initialize("2025-06-18", absl::Seconds(60)));
  ASSERT_OK(session->CallTool("list_images", json::object(), absl::Seconds(60)).status());
  ended = Run(Words({"status", "--json"}));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  const json status = json::parse(ended.output);
  EXPECT_EQ(status.at("platform"), "embedded");
  EXPECT_EQ(status.at("backend").at("running"), true);
  EXPECT_GT(status.at("backend").at("pid"), 0);
  EXPECT_EQ(status.at("backend").at("operations").at("running_instances"), 0);
  std::map<std::string, int64_t> bytes;
  for (const json& part : status.at("data")) bytes[part.at("name")] = part.at("bytes");
  EXPECT_GT(bytes["local-backend"], 100'000) << status;
  ended = Run(Words({"status"}));
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("runs as process"));
  EXPECT_THAT(ended.output, HasSubstr("running_instances: 0"));
  EXPECT_THAT(ended.output, HasSubstr("MiB"));
}

}  // namespace
}  // namespace contree::testing_harness
