#include "gateway/mcp/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/jsonrpc/message.h"

namespace contree::gateway {

ProgressReporter::ProgressReporter(std::string token_json, const NotificationSink& sink,
                                   std::function<absl::Time()> now)
    : token_json_(std::move(token_json)), sink_(sink), now_(std::move(now)), refilled_at_(now_()) {}

void ProgressReporter::Report(absl::string_view message) {
  const absl::Time now = now_();
  const double elapsed = std::max(0.0, absl::ToDoubleSeconds(now - refilled_at_));
  allowance_ = std::min(kBurst, allowance_ + elapsed * kPerSecond);
  refilled_at_ = now;
  if (allowance_ < 1) return;
  allowance_ -= 1;
  sink_(SerializeNotification(
      "notifications/progress",
      absl::StrCat(R"({"progressToken":)", token_json_, R"(,"progress":)", ++progress_,
                   R"(,"message":)", ToJsonString(message), "}")));
}

}  // namespace contree::gateway
