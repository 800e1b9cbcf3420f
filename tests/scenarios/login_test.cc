// `contree-mcp login` against a platform that knows one token.

#include <sys/stat.h>

#include <filesystem>

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

constexpr char kToken[] = "right-token.123";

class LoginTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    state_ = std::make_unique<TempDirectory>();
    ASSERT_OK(WritePrivateFile(state_->File("token"), absl::StrCat(kToken, "\n")));
    ASSERT_OK_AND_ASSIGN(
        backend_, ServerProcess::Start({Program("local-backend/contree-local-backend"),
                                        "--state-dir", state_->File("state"), "--listen",
                                        "127.0.0.1:0", "--token-file", state_->File("token")}));
    ASSERT_OK_AND_ASSIGN(url_, backend_->WaitForLogField("http"));
  }
  static void TearDownTestSuite() {
    backend_.reset();
    state_.reset();
  }

  struct Ended {
    int exit_code;
    std::string output;
  };
  Ended Run(const std::string& line) {
    const auto process =
        ServerProcess::Start({"/bin/sh", "-c", line}, {{"HOME", home_.path()},
                                                       {"XDG_CONFIG_HOME", ""},
                                                       {"CONTREE_HOME", ""},
                                                       {"CONTREE_PROFILE", ""},
                                                       {"CONTREE_MCP_URL", ""},
                                                       {"CONTREE_MCP_PROJECT", ""}});
    EXPECT_OK(process.status());
    const absl::StatusOr<int> exit_code = (*process)->Wait(absl::Seconds(60));
    EXPECT_OK(exit_code.status());
    return {exit_code.value_or(-1), (*process)->Output()};
  }
  Ended Login(const std::string& token, const std::string& arguments) {
    return Run(absl::StrCat("printf '", token, "\\n' | ", Program("standalone/contree-mcp"),
                            " login --url ", url_, " ", arguments));
  }
  std::string AuthIni() {
    return ReadFile(home_.File(".config/contree/auth.ini"), 1 << 20).value_or("none");
  }

  static std::unique_ptr<TempDirectory> state_;
  static std::unique_ptr<ServerProcess> backend_;
  static std::string url_;
  TempDirectory home_;
};

std::unique_ptr<TempDirectory> LoginTest::state_;
std::unique_ptr<ServerProcess> LoginTest::backend_;
std::string LoginTest::url_;

TEST_F(LoginTest, ATokenThatThePlatformKnowsBecomesTheActiveProfile) {
  std::filesystem::create_directories(home_.File(".config/contree"));
  ASSERT_OK(WritePrivateFile(home_.File(".config/contree/auth.ini"),
                             "[DEFAULT]\nprofile = other\n[profile:other]\ntoken = o\n"));
  const Ended ended = Login(kToken, "--profile work");
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("active profile 'work'"));
  EXPECT_THAT(ended.output, Not(HasSubstr(kToken)));
  EXPECT_EQ(AuthIni(), absl::StrCat("[DEFAULT]\nprofile = work\n[profile:other]\ntoken = o\n\n"
                                    "[profile:work]\ntoken = ",
                                    kToken, "\nurl = ", url_, "\ntype = jwt\n"));
  struct stat info {};
  EXPECT_EQ(stat(home_.File(".config/contree/auth.ini").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(LoginTest, ATokenThatThePlatformRefusesIsNotStored) {
  const Ended ended = Login("wrong-token", "");
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.output, HasSubstr(url_));
  EXPECT_THAT(ended.output, Not(HasSubstr("wrong-token")));
  EXPECT_EQ(AuthIni(), "none");
}

TEST_F(LoginTest, WhatIsTypedIsNotShown) {
  // script gives it a terminal, which echoes what is typed unless it is told not to. Its input is
  // open until the prompt has been printed, so nothing is typed too early.
  ASSERT_OK(WritePrivateFile(
      home_.File("typist"),
      absl::StrCat(R"(
mkfifo "$HOME/keys"
exec 3<>"$HOME/keys"
script -qec ")",
                   Program("standalone/contree-mcp"), " login --url ", url_, R"(" /dev/null \
  <"$HOME/keys" | while IFS= read -r -n 1 -d '' c; do
  printf %s "$c"
  seen="$seen$c"
  case $seen in *Token\ for*:\ ) printf 'right-token.123\n' >&3; seen= ;; esac
done
)")));
  const Ended ended = Run("exec bash $HOME/typist");
  EXPECT_THAT(ended.output, HasSubstr(absl::StrCat("Token for ", url_, ": ")));
  EXPECT_THAT(ended.output, HasSubstr("active profile 'default'"));
  EXPECT_THAT(ended.output, Not(HasSubstr(kToken)));
  EXPECT_THAT(AuthIni(), HasSubstr(kToken));
}

TEST_F(LoginTest, MistakesAreSaidBeforeAnythingIsSent) {
  EXPECT_THAT(Login("a b", "").output, HasSubstr("is no token"));
  EXPECT_THAT(Login("", "").output, HasSubstr("nothing was given"));
  EXPECT_THAT(Login(kToken, "--profile 'a b'").output, HasSubstr("profile's name 'a b'"));
  EXPECT_THAT(Login(kToken, "--token s3cret").output, HasSubstr("--token can be seen"));
  EXPECT_THAT(Run(absl::StrCat("echo t | ", Program("standalone/contree-mcp"),
                               " login --url http://192.0.2.1"))
                  .output,
              HasSubstr("use https://"));
  EXPECT_EQ(AuthIni(), "none");
}

}  // namespace
}  // namespace contree::testing_harness
