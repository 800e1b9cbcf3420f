#include "gateway/tools/reconnect_pacer.h"

#include <stop_token>

#include "common/time/fake_clock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

const absl::Status kAway = absl::UnavailableError("away");

TEST(ReconnectPacerTest, PausesGrowUntilItGivesUp) {
  FakeClock clock(absl::UnixEpoch());
  ReconnectPacer pacer(clock);
  const CallContext context;
  int attempts = 0;
  while (pacer.WaitAfter(kAway, context)) ++attempts;
  EXPECT_GT(clock.Now(), absl::UnixEpoch() + absl::Seconds(30));
  EXPECT_LT(clock.Now(), absl::UnixEpoch() + absl::Seconds(33));
  EXPECT_GT(attempts, 15);
  EXPECT_LE(clock.sleeps().front(), absl::Milliseconds(50));
  EXPECT_GT(clock.sleeps().back(), absl::Seconds(1));
}

TEST(ReconnectPacerTest, WhatArrivedStartsTheCountAnew) {
  FakeClock clock(absl::UnixEpoch());
  ReconnectPacer pacer(clock);
  const CallContext context;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(pacer.WaitAfter(kAway, context));
    pacer.Reset();
  }
  EXPECT_LE(clock.sleeps().back(), absl::Milliseconds(50));
}

TEST(ReconnectPacerTest, OnlyWhatPassesIsWaitedFor) {
  FakeClock clock(absl::UnixEpoch());
  ReconnectPacer pacer(clock);
  const CallContext context;
  EXPECT_FALSE(pacer.WaitAfter(absl::NotFoundError("x"), context));
  EXPECT_FALSE(pacer.WaitAfter(absl::DeadlineExceededError("x"), context));
  EXPECT_TRUE(clock.sleeps().empty());
}

TEST(ReconnectPacerTest, NobodyWaitsBeyondADeadlineOrAStop) {
  FakeClock clock(absl::UnixEpoch());
  CallContext short_of_time;
  short_of_time.deadline = absl::UnixEpoch() + absl::Milliseconds(10);
  ReconnectPacer pacer(clock);
  EXPECT_FALSE(pacer.WaitAfter(kAway, short_of_time));
  std::stop_source stop;
  stop.request_stop();
  CallContext stopped;
  stopped.stop = stop.get_token();
  EXPECT_FALSE(pacer.WaitAfter(kAway, stopped));
}

}  // namespace
}  // namespace contree::gateway
