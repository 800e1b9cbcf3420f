#include "standalone/doctor/program_run.h"

#include <signal.h>
#include <unistd.h>

#include "common/testing/status_matchers.h"

namespace contree::standalone {
namespace {

using testing::HasSubstr;

TEST(ProgramRunTest, SaysHowAProgramEndedAndWhatItWrote) {
  ASSERT_OK_AND_ASSIGN(
      ProgramEnd end, RunProgram({"sh", "-c", "echo out; echo err >&2; exit 3"}, absl::Minutes(1)));
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.output, "out\nerr\n");
  ASSERT_OK_AND_ASSIGN(end, RunProgram({"sh", "-c", "kill -TERM $$"}, absl::Minutes(1)));
  EXPECT_EQ(end.exit_code, 128 + SIGTERM);
  ASSERT_OK_AND_ASSIGN(end,
                       RunProgram({"sh", "-c", "head -c 1000000 /dev/zero"}, absl::Minutes(1)));
  EXPECT_EQ(end.output.size(), 64u * 1024);
}

TEST(ProgramRunTest, WhatIsNotThereIsNotFound) {
  EXPECT_THAT(RunProgram({"no-such-program"}, absl::Minutes(1)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no-such-program")));
}

TEST(ProgramRunTest, WhatDoesNotEndIsKilledWithItsChildren) {
  EXPECT_THAT(RunProgram({"sh", "-c", "sleep 1000 & sleep 1000"}, absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("50ms")));
}

TEST(ProgramRunTest, ATrialKeepsItsStatusAndChangesNothingHere) {
  const pid_t self = getpid();
  EXPECT_OK(TryInChild(
      [self] { return getpid() != self ? absl::OkStatus() : absl::InternalError("here"); },
      absl::Minutes(1)));
  EXPECT_THAT(TryInChild([] { return absl::FailedPreconditionError("why"); }, absl::Minutes(1)),
              StatusIs(absl::StatusCode::kFailedPrecondition, "why"));
  EXPECT_THAT(TryInChild([]() -> absl::Status { _exit(77); }, absl::Minutes(1)),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("77")));
  EXPECT_THAT(TryInChild(
                  []() -> absl::Status {
                    while (true) pause();
                  },
                  absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("50ms")));
}

}  // namespace
}  // namespace contree::standalone
