#include "common/threads/growing_thread_pool.h"

#include <atomic>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using ::testing::HasSubstr;

TEST(GrowingThreadPoolTest, NoTaskWaitsBehindAnother) {
  GrowingThreadPool pool(50);
  // Each waits until all have begun.
  absl::Mutex mutex;
  int begun = 0;
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(pool.Run([&] {
      absl::MutexLock lock(&mutex);
      ++begun;
      mutex.Await(absl::Condition(
          +[](int* count) { return *count == 50; }, &begun));
    }));
  }
}

TEST(GrowingThreadPoolTest, RefusesWhatIsBeyondItsBound) {
  absl::Notification go;
  GrowingThreadPool pool(1);
  ASSERT_OK(pool.Run([&] { go.WaitForNotification(); }));
  EXPECT_THAT(pool.Run([] {}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("all 1 threads")));
  go.Notify();
}

TEST(GrowingThreadPoolTest, WhatIsQueuedRunsWhenAThreadIsFree) {
  absl::Notification go;
  std::atomic<int> ran = 0;
  {
    GrowingThreadPool pool(2);
    for (int i = 0; i < 2; ++i) ASSERT_OK(pool.Run([&] { go.WaitForNotification(); }));
    for (int i = 0; i < 100; ++i) ASSERT_OK(pool.RunOrQueue([&] { ++ran; }));
    EXPECT_EQ(ran, 0);
    go.Notify();
  }
  EXPECT_EQ(ran, 100);
}

TEST(GrowingThreadPoolTest, UsesAnIdleThreadAgain) {
  GrowingThreadPool pool(1, absl::Hours(1));
  for (int i = 0; i < 20; ++i) {
    absl::Notification ran;
    absl::Status status = absl::UnknownError("not run");
    // The thread may not be back yet.
    while (!(status = pool.Run([&] { ran.Notify(); })).ok()) std::this_thread::yield();
    ran.WaitForNotification();
  }
}

TEST(GrowingThreadPoolTest, TheDestructorWaitsForEveryTask) {
  std::atomic<int> ran = 0;
  {
    GrowingThreadPool pool(8);
    for (int i = 0; i < 8; ++i) {
      ASSERT_OK(pool.Run([&] {
        std::this_thread::yield();
        ++ran;
      }));
    }
  }
  EXPECT_EQ(ran, 8);
}

}  // namespace
}  // namespace contree
