#include "common/retry/retry_loop.h"

#include <stop_token>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/testing/status_matchers.h"
#include "common/time/fake_clock.h"

namespace contree {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr RetryPolicy kPolicy = {
    .max_attempts = 4,
    .backoff = {
        .first = absl::Milliseconds(100), .largest = absl::Seconds(1), .factor = 2, .jitter = 0}};

class RetryLoopTest : public testing::Test {
 protected:
  FakeClock clock_{absl::FromUnixSeconds(1'000'000)};
  CallContext context_;
  int attempts_ = 0;
};

TEST_F(RetryLoopTest, ReturnsTheFirstSuccess) {
  EXPECT_OK(RunWithRetries(kPolicy, clock_, context_, [&] {
    ++attempts_;
    return Attempt{.status = attempts_ < 3 ? absl::UnavailableError("down") : absl::OkStatus(),
                   .may_retry = true};
  }));
  EXPECT_EQ(attempts_, 3);
  EXPECT_THAT(clock_.sleeps(), ElementsAre(absl::Milliseconds(100), absl::Milliseconds(200)));
}

TEST_F(RetryLoopTest, StopsAfterAPermanentError) {
  EXPECT_THAT(RunWithRetries(kPolicy, clock_, context_,
                             [&] {
                               ++attempts_;
                               return Attempt{.status = absl::NotFoundError("no image x")};
                             }),
              StatusIs(absl::StatusCode::kNotFound, "no image x"));
  EXPECT_EQ(attempts_, 1);
}

TEST_F(RetryLoopTest, StopsWhenTheAttemptsAreUsedUp) {
  EXPECT_THAT(RunWithRetries(kPolicy, clock_, context_,
                             [&] {
                               ++attempts_;
                               return Attempt{.status = absl::UnavailableError("down"),
                                              .may_retry = true};
                             }),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("down"), HasSubstr("gave up after 4 attempts"))));
  EXPECT_EQ(attempts_, 4);
}

TEST_F(RetryLoopTest, RetryAfterReplacesThePause) {
  EXPECT_OK(RunWithRetries(kPolicy, clock_, context_, [&] {
    ++attempts_;
    return Attempt{.status = attempts_ == 1 ? absl::UnavailableError("down") : absl::OkStatus(),
                   .may_retry = true,
                   .retry_after = absl::Seconds(7)};
  }));
  EXPECT_THAT(clock_.sleeps(), ElementsAre(absl::Seconds(7)));
}

TEST_F(RetryLoopTest, DoesNotPauseBeyondTheDeadline) {
  context_.deadline = clock_.Now() + absl::Milliseconds(250);
  EXPECT_THAT(RunWithRetries(kPolicy, clock_, context_,
                             [&] {
                               ++attempts_;
                               return Attempt{.status = absl::UnavailableError("down"),
                                              .may_retry = true};
                             }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("after the call's deadline")));
  EXPECT_EQ(attempts_, 2);
  EXPECT_THAT(clock_.sleeps(), ElementsAre(absl::Milliseconds(100)));
}

TEST_F(RetryLoopTest, WhereNobodyIsThereItGivesUpSoon) {
  RetryPolicy patient = kPolicy;
  patient.max_attempts = 10;
  patient.max_unreachable = absl::Seconds(1);
  EXPECT_THAT(RunWithRetries(patient, clock_, context_,
                             [&] {
                               ++attempts_;
                               return Attempt{.status = absl::UnavailableError("refused"),
                                              .may_retry = true,
                                              .unreachable = true};
                             }),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("refused"), HasSubstr("gave up after 5 attempts"),
                             HasSubstr("nobody was there for 1s"))));
  EXPECT_THAT(clock_.sleeps(), ElementsAre(absl::Milliseconds(100), absl::Milliseconds(200),
                                           absl::Milliseconds(400), absl::Milliseconds(300)));
}

TEST_F(RetryLoopTest, SomebodyWhoAnswersIsGivenTimeAgain) {
  RetryPolicy patient = kPolicy;
  patient.max_attempts = 8;
  patient.max_unreachable = absl::Seconds(1);
  // Busy, then gone for a moment, then busy again: only an unbroken absence counts.
  EXPECT_THAT(RunWithRetries(patient, clock_, context_,
                             [&] {
                               ++attempts_;
                               return Attempt{.status = absl::UnavailableError("down"),
                                              .may_retry = true,
                                              .unreachable = attempts_ % 2 == 0};
                             }),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("gave up after 8 attempts")));
}

TEST_F(RetryLoopTest, CancellationEndsThePause) {
  std::stop_source stop;
  context_.stop = stop.get_token();
  EXPECT_THAT(RunWithRetries(kPolicy, clock_, context_,
                             [&] {
                               ++attempts_;
                               stop.request_stop();
                               return Attempt{.status = absl::UnavailableError("down"),
                                              .may_retry = true};
                             }),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("down")));
  EXPECT_EQ(attempts_, 1);
}

}  // namespace
}  // namespace contree
