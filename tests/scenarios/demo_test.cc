// `contree-mcp demo`, as a person starts it.

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "tests/harness/server_process.h"

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
