#ifndef COMMON_TIME_FAKE_CLOCK_H_
#define COMMON_TIME_FAKE_CLOCK_H_

// A clock that sleeps in no time and remembers for how long it was asked to.

#include <stop_token>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/time/clock.h"

namespace contree {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time start) : now_(start) {}

  absl::Time Now() override;
  bool Sleep(absl::Duration duration, const std::stop_token& stop) override;

  std::vector<absl::Duration> sleeps() const;

 private:
  mutable absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  std::vector<absl::Duration> sleeps_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // COMMON_TIME_FAKE_CLOCK_H_
