#ifndef COMMON_TIME_CLOCK_H_
#define COMMON_TIME_CLOCK_H_

// The time and waiting for it, injected where a test would otherwise sleep.

#include <stop_token>

#include "absl/time/time.h"

namespace contree {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  virtual absl::Time Now() = 0;
  // Waits for `duration`; false: `stop` was requested, before or meanwhile, and the wait ended at
  // once.
  virtual bool Sleep(absl::Duration duration, const std::stop_token& stop) = 0;
};

// The system's.
class RealClock final : public Clock {
 public:
  absl::Time Now() override;
  bool Sleep(absl::Duration duration, const std::stop_token& stop) override;
};

}  // namespace contree

#endif  // COMMON_TIME_CLOCK_H_
