#include "common/time/daily_task.h"

#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {
constexpr absl::Duration kInterval = absl::Hours(24);
}  // namespace

DailyTask::DailyTask(std::string what, Clock* clock,
                     std::function<absl::Status(absl::Time now)> task)
    : thread_([what = std::move(what), clock, task = std::move(task)](const std::stop_token& stop) {
        while (clock->Sleep(kInterval, stop)) {
          const absl::Status status = task(clock->Now());
          if (!status.ok()) {
            LogWarning(absl::StrCat(what, " failed"), {{"error", std::string(status.message())}});
          }
        }
      }) {}

}  // namespace contree
