#include "contree-service/store/store_retention.h"

#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {
constexpr absl::Duration kInterval = absl::Hours(24);
}  // namespace

StoreRetention::StoreRetention(ContreeStore* store, Clock* clock)
    : thread_([store, clock](const std::stop_token& stop) {
        while (clock->Sleep(kInterval, stop)) {
          const absl::Status dropped = store->DropOld(clock->Now());
          if (!dropped.ok()) {
            LogWarning("old records could not be dropped from the store",
                       {{"error", std::string(dropped.message())}});
          }
        }
      }) {}

}  // namespace contree
