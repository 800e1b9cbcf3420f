#include "common/retry/backoff.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

constexpr BackoffPolicy kPolicy = {.first = absl::Milliseconds(50),
                                   .largest = absl::Milliseconds(150),
                                   .factor = 2,
                                   .jitter = 0.5};

TEST(BackoffTest, GrowsToItsLargestAndStaysThere) {
  Backoff backoff({.first = kPolicy.first, .largest = kPolicy.largest, .factor = 2, .jitter = 0});
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(50));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(100));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(150));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(150));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(50));
}

TEST(BackoffTest, JitterShortensButNeverLengthens) {
  bool varied = false;
  absl::Duration before = absl::ZeroDuration();
  for (int i = 0; i < 100; ++i) {
    Backoff backoff(kPolicy);
    const absl::Duration pause = backoff.Next();
    EXPECT_GE(pause, absl::Milliseconds(25));
    EXPECT_LE(pause, absl::Milliseconds(50));
    varied = varied || (i > 0 && pause != before);
    before = pause;
  }
  EXPECT_TRUE(varied);
}

}  // namespace
}  // namespace contree
