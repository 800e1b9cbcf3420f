#include "local-backend/api/parameters.h"

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;

TEST(ParseApiTimeTest, ReadsPointsInTime) {
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  const absl::Time expected = absl::FromUnixMicros(1'795'253'357'501'317);
  for (const char* text : {"2026-11-21T09:29:17.501317Z", "2026-11-21T09:29:17.501317",
                           "2026-11-21T10:29:17.501317+01:00", "2026-11-21T10:29:17.501317 01:00",
                           "2026-11-21 09:29:17.501317"}) {
    ASSERT_OK_AND_ASSIGN(const absl::Time time, ParseApiTime(text, now));
    EXPECT_EQ(time, expected) << text;
  }
}

TEST(ParseApiTimeTest, ReadsAges) {
  const absl::Time now = absl::FromUnixSeconds(10'000'000);
  const std::pair<const char*, absl::Duration> ages[] = {
      {"90", absl::Seconds(90)},  {"3600s", absl::Seconds(3600)}, {"15m", absl::Minutes(15)},
      {"2h", absl::Hours(2)},     {"3d", absl::Hours(72)},        {"1w", absl::Hours(168)},
      {"1.5h", absl::Minutes(90)}};
  for (const auto& [text, age] : ages) {
    ASSERT_OK_AND_ASSIGN(const absl::Time time, ParseApiTime(text, now));
    EXPECT_EQ(time, now - age) << text;
  }
}

TEST(ParseApiTimeTest, RefusesEverythingElse) {
  for (const char* text :
       {"", "yesterday", "1y", "h", "-5s", "nan", "inf", "2026-13-01T00:00:00Z"}) {
    EXPECT_THAT(ParseApiTime(text, absl::UnixEpoch()),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no time")))
        << text;
  }
}

}  // namespace
}  // namespace contree
