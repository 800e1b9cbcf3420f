#include "common/time/clock.h"

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"

namespace contree {

absl::Time RealClock::Now() { return absl::Now(); }

bool RealClock::Sleep(absl::Duration duration, const std::stop_token& stop) {
  absl::Notification stopped;
  const std::stop_callback on_stop(stop, [&stopped] { stopped.Notify(); });
  return !stopped.WaitForNotificationWithTimeout(duration);
}

}  // namespace contree
