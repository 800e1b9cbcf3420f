#include "common/http/retry_after.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

// Sun, 06 Nov 1994 08:49:30 GMT
const absl::Time kNow = absl::FromUnixSeconds(784'111'770);

TEST(RetryAfterTest, ReadsSecondsAndFractions) {
  EXPECT_EQ(ParseRetryAfter("3", kNow), absl::Seconds(3));
  EXPECT_EQ(ParseRetryAfter(" 0.25 ", kNow), absl::Milliseconds(250));
  EXPECT_EQ(ParseRetryAfter("0", kNow), absl::ZeroDuration());
}

TEST(RetryAfterTest, ReadsTheThreeFormsOfDates) {
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:49:37 GMT", kNow), absl::Seconds(7));
  EXPECT_EQ(ParseRetryAfter("Sunday, 06-Nov-94 08:49:37 GMT", kNow), absl::Seconds(7));
  EXPECT_EQ(ParseRetryAfter("Sun Nov  6 08:49:37 1994", kNow), absl::Seconds(7));
}

TEST(RetryAfterTest, ThePastIsNow) {
  EXPECT_EQ(ParseRetryAfter("Sun, 06 Nov 1994 08:00:00 GMT", kNow), absl::ZeroDuration());
  EXPECT_EQ(ParseRetryAfter("-5", kNow), absl::ZeroDuration());
}

TEST(RetryAfterTest, AbsurdNumbersAreBounded) {
  EXPECT_LE(*ParseRetryAfter("1e300", kNow), absl::Hours(24 * 365));
}

TEST(RetryAfterTest, AnythingElseIsUnreadable) {
  EXPECT_EQ(ParseRetryAfter("", kNow), std::nullopt);
  EXPECT_EQ(ParseRetryAfter("soon", kNow), std::nullopt);
  EXPECT_EQ(ParseRetryAfter("nan", kNow), std::nullopt);
}

}  // namespace
}  // namespace contree
