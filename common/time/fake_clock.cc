#include "common/time/fake_clock.h"

namespace contree {

absl::Time FakeClock::Now() {
  absl::MutexLock lock(&mutex_);
  return now_;
}

bool FakeClock::Sleep(absl::Duration duration, const std::stop_token& stop) {
  if (stop.stop_requested()) return false;
  absl::MutexLock lock(&mutex_);
  now_ += duration;
  sleeps_.push_back(duration);
  return true;
}

std::vector<absl::Duration> FakeClock::sleeps() const {
  absl::MutexLock lock(&mutex_);
  return sleeps_;
}

}  // namespace contree
