#ifndef STANDALONE_SERVE_H_
#define STANDALONE_SERVE_H_

#include "absl/status/status.h"
#include "standalone/options.h"

namespace contree::standalone {

// The whole system in one process: the gateway over in-process channels to the services, and the
// platform behind them, which is the embedded backend unless options.url names one. Serves MCP
// until the input ends (stdio) or SIGTERM, then drains. Termination signals must be blocked
// already.
absl::Status Serve(const Options& options);

}  // namespace contree::standalone

#endif  // STANDALONE_SERVE_H_
