// `contree-mcp demo`, as a person starts it.

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "tests/harness/oci_image.h"
#include "tests/harness/server_process.h"
#include "tests/harness/test_registry.h"

namespace contree::testing_harness {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(DemoTest, ChecksEveryStepAndPrintsTheTreeAlsoOnAStateThatIsUsed) {
  const TempDirectory state;
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto demo,
                         ServerProcess::Start({Program("standalone/contree-mcp"), "demo",
                                               "--state-dir", state.path()}));
    ASSERT_OK_AND_ASSIGN(const int exit_code, demo->Wait(absl::Seconds(120)));
    const std::string output = demo->Output();
    EXPECT_EQ(exit_code, 0) << output;
    EXPECT_THAT(output, HasSubstr("8. Destroy everything"));
    EXPECT_THAT(output, HasSubstr("after an edit: 1 file uploaded, 299 reused"));
    EXPECT_THAT(output, HasSubstr("└─"));
    EXPECT_THAT(output, HasSubstr("Every result was checked."));
    EXPECT_THAT(output, Not(HasSubstr("\r"))) << "no terminal, no rewriting of lines";
  }
}

TEST(DemoTest, AnImageThatIsNamedIsImportedAndItsProgressTold) {
  const TempDirectory state;
  TestRegistry registry;
  const std::string reference = registry.Push("team/app:1", {BusyboxImage("imported\n")});
  ASSERT_OK_AND_ASSIGN(const auto demo,
                       ServerProcess::Start({Program("standalone/contree-mcp"), "demo", "--import",
                                             reference, "--state-dir", state.path()}));
  ASSERT_OK_AND_ASSIGN(const int exit_code, demo->Wait(absl::Seconds(120)));
  const std::string output = demo->Output();
  EXPECT_EQ(exit_code, 0) << output;
  EXPECT_THAT(output, HasSubstr("2. Import an image from its registry"));
  EXPECT_THAT(output, testing::ContainsRegex("\\| .*layer"));  // what the backend tells of its work
  EXPECT_THAT(output, HasSubstr("The image that came from a registry"));
  EXPECT_THAT(output, HasSubstr("9. Destroy everything"));
}

TEST(DemoTest, AnImageThatIsNotThereIsSaidSo) {
  const TempDirectory state;
  TestRegistry registry;
  ASSERT_OK_AND_ASSIGN(
      const auto demo,
      ServerProcess::Start({Program("standalone/contree-mcp"), "demo", "--import",
                            registry.host() + "/no/such:1", "--state-dir", state.path()}));
  ASSERT_OK_AND_ASSIGN(const int exit_code, demo->Wait(absl::Seconds(120)));
  EXPECT_NE(exit_code, 0);
  EXPECT_THAT(demo->Output(), HasSubstr("step 2 (Import an image from its registry)"));
  EXPECT_THAT(demo->Output(), HasSubstr("no/such"));
}

TEST(DemoTest, OnATerminalAStepShowsWhileItRuns) {
  const TempDirectory state;
  const std::string command =
      Program("standalone/contree-mcp") + " demo --state-dir " + state.path();
  // script(1) runs it on a terminal of its own.
  ASSERT_OK_AND_ASSIGN(const auto demo,
                       ServerProcess::Start({"/usr/bin/script", "--quiet", "--return", "--command",
                                             command, "/dev/null"}));
  ASSERT_OK_AND_ASSIGN(const int exit_code, demo->Wait(absl::Seconds(120)));
  const std::string output = demo->Output();
  EXPECT_EQ(exit_code, 0) << output;
  EXPECT_THAT(output,
              testing::ContainsRegex("1\\. Look what is there  \\.\\.\\.\r\033\\[K1\\. Look"));
}

}  // namespace
}  // namespace contree::testing_harness
