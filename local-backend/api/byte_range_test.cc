#include "local-backend/api/byte_range.h"

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(ParseByteRangeTest, ReadsEachForm) {
  const struct {
    const char* header;
    int64_t first;
    int64_t length;
  } cases[] = {{"bytes=0-0", 0, 1}, {"bytes=2-4", 2, 3},   {"bytes=7-", 7, 3},
               {"bytes=-4", 6, 4},  {"bytes=-100", 0, 10}, {"bytes=5-1000", 5, 5},
               {"bytes=9-9", 9, 1}};
  for (const auto& [header, first, length] : cases) {
    ASSERT_OK_AND_ASSIGN(const auto range, ParseByteRange(header, 10));
    ASSERT_TRUE(range.has_value()) << header;
    EXPECT_EQ(range->first, first) << header;
    EXPECT_EQ(range->length, length) << header;
  }
}

TEST(ParseByteRangeTest, IgnoresWhatItDoesNotKnow) {
  for (const char* header : {"", "items=0-1", "bytes=", "bytes=x-1", "bytes=1", "bytes=0-1,3-4",
                             "bytes=5-2", "bytes=-", "bytes=99999999999999999999-"}) {
    ASSERT_OK_AND_ASSIGN(const auto range, ParseByteRange(header, 10));
    EXPECT_FALSE(range.has_value()) << header;
  }
}

TEST(ParseByteRangeTest, SaysWhatIsOutside) {
  for (const char* header : {"bytes=10-", "bytes=11-12", "bytes=-0"}) {
    EXPECT_THAT(ParseByteRange(header, 10),
                StatusIs(absl::StatusCode::kOutOfRange, testing::HasSubstr("10 bytes")))
        << header;
  }
}

}  // namespace
}  // namespace contree
