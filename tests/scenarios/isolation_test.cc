// On a host that cannot isolate, nothing runs and the answer says what is missing.

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

constexpr absl::Duration kTimeout = absl::Seconds(60);

// Runs a program where no user namespace can be made: in one whose limit for further ones is 0.
std::vector<std::string> WithoutUserNamespaces(const std::vector<std::string>& command) {
  std::vector<std::string> words = {"/usr/bin/unshare",
                                    "--user",
                                    "--map-root-user",
                                    "sh",
                                    "-c",
                                    "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"",
                                    "sh"};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

TEST(IsolationTest, WithoutUserNamespacesTheBackendRefusesToStart) {
  const TempDirectory state;
  ASSERT_OK_AND_ASSIGN(
      const auto backend,
      ServerProcess::Start(WithoutUserNamespaces(
          {Program("local-backend/contree-local-backend"), "--state-dir", state.path()})));
  ASSERT_OK_AND_ASSIGN(const int exit_code, backend->Wait());
  EXPECT_EQ(exit_code, 1) << backend->Output();
  EXPECT_THAT(backend->Output(), HasSubstr("user namespace"));
}

TEST(IsolationTest, AnAgentIsToldWhatIsMissing) {
  const TempDirectory state;
  ASSERT_OK_AND_ASSIGN(
      const auto client,
      standalone::McpStdioClient::Start(WithoutUserNamespaces(
          {Program("standalone/contree-mcp"), "--local", "--state-dir", state.path()})));
  ASSERT_OK(client->Initialize("2025-06-18", kTimeout));
  ASSERT_OK_AND_ASSIGN(const json result,
                       client->CallTool("run",
                                        {{"command", "echo unisolated > " + state.File("trace")},
                                         {"image", "tag:busybox:latest"}},
                                        kTimeout));
  EXPECT_EQ(result.at("isError"), true) << result;
  EXPECT_THAT(result.at("content").at(0).at("text").get<std::string>(),
              HasSubstr("user namespace"));
  EXPECT_THAT(ReadFile(state.File("trace"), 100),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("trace")));
}

}  // namespace
}  // namespace contree::testing_harness
