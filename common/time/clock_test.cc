#include "common/time/clock.h"

#include <stop_token>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(RealClockTest, SleepsAtLeastAsLongAsAsked) {
  RealClock clock;
  const absl::Time start = absl::Now();
  EXPECT_TRUE(clock.Sleep(absl::Milliseconds(5), std::stop_token()));
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(5));
}

TEST(RealClockTest, DoesNotSleepOnceStopped) {
  RealClock clock;
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(clock.Sleep(absl::Hours(1), stop.get_token()));
}

TEST(RealClockTest, StoppingEndsASleep) {
  RealClock clock;
  std::stop_source stop;
  std::thread stopper([&stop] { stop.request_stop(); });
  EXPECT_FALSE(clock.Sleep(absl::Hours(1), stop.get_token()));
  stopper.join();
}

}  // namespace
}  // namespace contree
