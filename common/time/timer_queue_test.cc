#include "common/time/timer_queue.h"

#include <atomic>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using ::testing::ElementsAre;

TEST(TimerQueueTest, RunsInTheOrderOfTheirTimes) {
  TimerQueue timers;
  std::vector<int> ran;  // used by the queue's one thread until `last` says that it is done
  absl::Notification last;
  const absl::Time start = absl::Now() + absl::Milliseconds(20);
  timers.Add(start + absl::Milliseconds(2), [&] { last.Notify(); });
  timers.Add(start + absl::Milliseconds(1), [&] { ran.push_back(2); });
  timers.Add(start, [&] { ran.push_back(1); });
  last.WaitForNotification();
  EXPECT_THAT(ran, ElementsAre(1, 2));
  EXPECT_GE(absl::Now(), start + absl::Milliseconds(2));
}

TEST(TimerQueueTest, ATimeThatHasPassedRunsAtOnce) {
  TimerQueue timers;
  absl::Notification ran;
  timers.Add(absl::InfinitePast(), [&] { ran.Notify(); });
  ran.WaitForNotification();
}

TEST(TimerQueueTest, WhatIsCancelledDoesNotRun) {
  TimerQueue timers;
  std::atomic<bool> ran = false;
  absl::Notification later;
  const absl::Time time = absl::Now() + absl::Milliseconds(10);
  const TimerQueue::Id id = timers.Add(time, [&] { ran = true; });
  timers.Add(time + absl::Milliseconds(1), [&] { later.Notify(); });
  EXPECT_TRUE(timers.Cancel(id));
  later.WaitForNotification();
  EXPECT_FALSE(ran);
}

TEST(TimerQueueTest, CancelWaitsForACallbackThatRuns) {
  TimerQueue timers;
  absl::Notification started;
  std::atomic<bool> ended = false;
  const TimerQueue::Id id = timers.Add(absl::InfinitePast(), [&] {
    started.Notify();
    for (int i = 0; i < 1000; ++i) absl::Now();
    ended = true;
  });
  started.WaitForNotification();
  EXPECT_FALSE(timers.Cancel(id));
  EXPECT_TRUE(ended);
}

TEST(TimerQueueTest, ACallbackMayAddAnother) {
  TimerQueue timers;
  absl::Notification second;
  timers.Add(absl::InfinitePast(),
             [&] { timers.Add(absl::InfinitePast(), [&] { second.Notify(); }); });
  second.WaitForNotification();
}

}  // namespace
}  // namespace contree
