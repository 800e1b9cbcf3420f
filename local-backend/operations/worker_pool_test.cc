#include "local-backend/operations/worker_pool.h"

#include <atomic>
#include <set>

#include "absl/synchronization/barrier.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(WorkerPoolTest, RunsAsManyAtOnceAsItHasThreads) {
  WorkerPool pool(3);
  // Opens only when three tasks wait at once.
  auto* barrier = new absl::Barrier(3);
  absl::Notification done;
  for (int i = 0; i < 3; ++i) {
    pool.Add([&] {
      if (!barrier->Block()) return;
      delete barrier;
      done.Notify();
    });
  }
  done.WaitForNotification();
}

TEST(WorkerPoolTest, HasNoMoreThreadsThanItMay) {
  absl::Mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<int> ran = 0;
  {
    WorkerPool pool(2);
    for (int i = 0; i < 100; ++i) {
      pool.Add([&] {
        ++ran;
        const absl::MutexLock lock(&mutex);
        threads.insert(std::this_thread::get_id());
      });
    }
  }
  EXPECT_EQ(ran, 100);  // the destructor waits for what was added
  EXPECT_LE(threads.size(), 2);
}

}  // namespace
}  // namespace contree
