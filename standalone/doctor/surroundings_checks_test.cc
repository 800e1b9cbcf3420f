#include "standalone/doctor/surroundings_checks.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "absl/time/clock.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::standalone {
namespace {

using State = Check::State;
using testing::HasSubstr;

PlatformAnswer AnswerAt(absl::Duration platform_is_ahead) {
  PlatformAnswer answer;
  answer.asked_at = absl::Now();
  answer.took = absl::Milliseconds(20);
  answer.platform_time = answer.asked_at + platform_is_ahead;
  return answer;
}

TEST(SurroundingsChecksTest, TheDiskOfADirectoryThatIsNotMadeYetIsItsParents) {
  const TempDirectory directory;
  const Check check = CheckDisk(directory.File("not/made/yet"));
  EXPECT_NE(check.state, State::kNotNeeded);
  EXPECT_THAT(check.detail, HasSubstr("GiB free for " + directory.path()));
  EXPECT_EQ(access(directory.File("not").c_str(), F_OK), -1) << "looking makes nothing";
}

TEST(SurroundingsChecksTest, ClocksThatDifferAreToldApart) {
  EXPECT_EQ(CheckClock(AnswerAt(absl::Seconds(-30))).state, State::kOk);
  const Check behind = CheckClock(AnswerAt(absl::Minutes(5)));
  EXPECT_EQ(behind.state, State::kFailed);
  EXPECT_THAT(behind.detail, HasSubstr(" behind the platform's"));
  EXPECT_THAT(behind.remedy, HasSubstr("timedatectl"));
  EXPECT_THAT(CheckClock(AnswerAt(absl::Minutes(-5))).detail, HasSubstr("ahead of the platform's"));
  EXPECT_NE(CheckClock(absl::UnavailableError("")).state, State::kFailed);
}

TEST(SurroundingsChecksTest, APlatformThatRefusesAsksForALogin) {
  Check check = CheckPlatform("upstream", absl::UnauthenticatedError("refused"));
  EXPECT_EQ(check.state, State::kFailed);
  EXPECT_THAT(check.remedy, HasSubstr("contree-mcp login"));
  check = CheckPlatform("upstream", absl::UnavailableError("nobody"));
  EXPECT_EQ(check.state, State::kFailed);
  EXPECT_THAT(check.remedy, HasSubstr("network"));
  PlatformAnswer answer = AnswerAt(absl::ZeroDuration());
  answer.permissions = {{"import", false}, {"list", true}};
  check = CheckPlatform("upstream", answer);
  EXPECT_EQ(check.state, State::kWarning);
  EXPECT_THAT(check.detail, HasSubstr("does not permit: import"));
  answer.permissions["import"] = true;
  EXPECT_EQ(CheckPlatform("upstream", answer).state, State::kOk);
}

TEST(SurroundingsChecksTest, CredentialsThatOthersCanReadAreAWarning) {
  const TempDirectory home;
  setenv("CONTREE_HOME", home.path().c_str(), 1);
  EXPECT_EQ(CheckCredentials({}).state, State::kNotNeeded);
  Options options;
  options.url = "https://x.example";
  EXPECT_EQ(CheckCredentials(options).state, State::kFailed);
  options.token = "s3cret";
  EXPECT_EQ(CheckCredentials(options).state, State::kOk);
  EXPECT_THAT(CheckCredentials(options).detail, testing::Not(HasSubstr("s3cret")));
  ASSERT_OK(WritePrivateFile(home.File("auth.ini"), ""));
  EXPECT_EQ(CheckCredentials(options).state, State::kOk);
  ASSERT_EQ(chmod(home.File("auth.ini").c_str(), 0644), 0);
  EXPECT_EQ(CheckCredentials(options).state, State::kWarning);
  EXPECT_EQ(CheckCredentials(options).remedy, "chmod 600 " + home.File("auth.ini"));
  options.platform_problem = "auth.ini is broken";
  EXPECT_EQ(CheckCredentials(options).detail, "auth.ini is broken");
}

TEST(SurroundingsChecksTest, HelpersSayTheirVersion) {
  for (const Check& check : CheckHelpers()) {
    if (check.name != "bwrap") continue;
    EXPECT_EQ(check.state, State::kOk);
    EXPECT_THAT(check.detail, HasSubstr("bubblewrap 0."));
    return;
  }
  ADD_FAILURE() << "nothing about bwrap";
}

}  // namespace
}  // namespace contree::standalone
