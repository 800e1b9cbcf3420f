#ifndef GATEWAY_MCP_PROGRESS_H_
#define GATEWAY_MCP_PROGRESS_H_

// notifications/progress for one request.

#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace contree::gateway {

// Takes a whole JSON-RPC message. Thread-safe where several requests share one.
using NotificationSink = std::function<void(std::string message)>;

// Used by one thread. Progress grows by one with each notification. A burst of 20 passes at once,
// then 10 a second; what comes faster is dropped, for a command can write more lines than anybody
// reads.
class ProgressReporter {
 public:
  // `token_json` is the client's progressToken as JSON; `sink` must outlive this.
  ProgressReporter(std::string token_json, const NotificationSink& sink,
                   std::function<absl::Time()> now);

  void Report(absl::string_view message);

 private:
  static constexpr double kBurst = 20;
  static constexpr double kPerSecond = 10;

  const std::string token_json_;
  const NotificationSink& sink_;
  const std::function<absl::Time()> now_;
  int progress_ = 0;
  double allowance_ = kBurst;
  absl::Time refilled_at_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_PROGRESS_H_
