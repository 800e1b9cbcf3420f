#include "contree-service/store/store_retention.h"

#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

// Each Sleep lasts until the test lets the time pass.
class SteppedClock final : public Clock {
 public:
  absl::Time Now() override {
    absl::MutexLock lock(&mutex_);
    return now_;
  }
  bool Sleep(absl::Duration duration, const std::stop_token& stop) override {
    const std::stop_callback on_stop(stop, [this] {
      absl::MutexLock lock(&mutex_);
      stopped_ = true;
    });
    absl::MutexLock lock(&mutex_);
    const absl::Time end = now_ + duration;
    ++sleeps_;
    const auto over = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return now_ >= end || stopped_; };
    mutex_.Await(absl::Condition(&over));
    return !stopped_;
  }
  // Returns when so many Sleeps have begun.
  void AwaitSleeps(int count) {
    absl::MutexLock lock(&mutex_);
    const auto begun = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return sleeps_ >= count; };
    mutex_.Await(absl::Condition(&begun));
  }
  void Advance(absl::Duration duration) {
    absl::MutexLock lock(&mutex_);
    now_ += duration;
  }

 private:
  absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1'790'000'000);
  int sleeps_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST(StoreRetentionTest, DropsOldRecordsOnceADay) {
  TempDirectory temp;
  SteppedClock clock;
  ASSERT_OK_AND_ASSIGN(auto store, ContreeStore::Open(temp.File("contree.db"), clock.Now()));
  const StoreScope scope = {.tenant = "t", .platform = "p"};
  v1::Operation operation;
  operation.set_id("o1");
  ASSERT_OK(store->PutFinal(scope, operation, clock.Now()));
  const StoreRetention retention(store.get(), &clock);
  clock.AwaitSleeps(1);
  clock.Advance(absl::Hours(24));
  clock.AwaitSleeps(2);
  EXPECT_TRUE((*store->FindFinal(scope, "o1")).has_value());
  clock.Advance(absl::Hours(24 * 30));
  clock.AwaitSleeps(3);
  EXPECT_FALSE((*store->FindFinal(scope, "o1")).has_value());
}

}  // namespace
}  // namespace contree
