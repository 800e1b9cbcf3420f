#include "common/time/daily_task.h"

#include <stop_token>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

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

TEST(DailyTaskTest, RunsOnceADayAlsoAfterAFailure) {
  SteppedClock clock;
  const absl::Time start = clock.Now();
  std::vector<absl::Time> runs;  // read while the task sleeps
  const DailyTask task("dropping old records", &clock, [&runs](absl::Time now) {
    runs.push_back(now);
    return absl::InternalError("the disk is full");
  });
  clock.AwaitSleeps(1);
  EXPECT_TRUE(runs.empty());
  clock.Advance(absl::Hours(24));
  clock.AwaitSleeps(2);
  clock.Advance(absl::Hours(24));
  clock.AwaitSleeps(3);
  EXPECT_THAT(runs, testing::ElementsAre(start + absl::Hours(24), start + absl::Hours(48)));
}

}  // namespace
}  // namespace contree
