#include "gateway/transport/worker_pool.h"

#include <atomic>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using Task = absl::AnyInvocable<void()>;

TEST(WorkerPoolTest, BlockedTasksDelayNobody) {
  constexpr int kTasks = 50;
  absl::BlockingCounter all_run(kTasks);
  absl::Notification go_on;
  WorkerPool pool(kTasks);
  for (int i = 0; i < kTasks; ++i) {
    Task task = [&] {
      all_run.DecrementCount();
      go_on.WaitForNotification();
    };
    ASSERT_TRUE(pool.TryRun(task));
  }
  all_run.Wait();  // only returns if all of them run at the same time
  Task one_more = [] {};
  EXPECT_FALSE(pool.TryRun(one_more));
  EXPECT_TRUE(one_more);  // it was not taken
  EXPECT_FALSE(pool.WaitUntilIdle(absl::Now()));
  go_on.Notify();
  EXPECT_TRUE(pool.WaitUntilIdle(absl::InfiniteFuture()));
  EXPECT_TRUE(pool.TryRun(one_more));
}

TEST(WorkerPoolTest, ManyTasksOneAfterTheOtherAllRun) {
  std::atomic<int> count = 0;
  {
    WorkerPool pool(2);
    for (int i = 0; i < 1000; ++i) {
      Task task = [&count] { ++count; };
      while (!pool.TryRun(task)) pool.WaitUntilIdle(absl::InfiniteFuture());
    }
  }
  EXPECT_EQ(count, 1000);
}

}  // namespace
}  // namespace contree::gateway
