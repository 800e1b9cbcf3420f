#ifndef COMMON_TIME_DAILY_TASK_H_
#define COMMON_TIME_DAILY_TASK_H_

// Does something once a day on a thread of its own: a store's retention. (Opening the store does so
// too.)

#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/time/clock.h"

namespace contree {

class DailyTask {
 public:
  // `clock` and what `task` touches must outlive it. A failure is logged as "WHAT failed", and the
  // next day is another one. Destroying it waits for a task that runs.
  DailyTask(std::string what, Clock* clock, std::function<absl::Status(absl::Time now)> task);
  DailyTask(const DailyTask&) = delete;
  DailyTask& operator=(const DailyTask&) = delete;

 private:
  std::jthread thread_;
};

}  // namespace contree

#endif  // COMMON_TIME_DAILY_TASK_H_
