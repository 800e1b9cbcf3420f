#ifndef GATEWAY_TRANSPORT_STDIO_TRANSPORT_H_
#define GATEWAY_TRANSPORT_STDIO_TRANSPORT_H_

// MCP over a pair of file descriptors: one message a line, both ways.

#include <stop_token>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "gateway/mcp/mcp_server.h"

namespace contree::gateway {

struct StdioTransportOptions {
  int input_fd = 0;
  int output_fd = 1;
  // Calls that run at the same time; one more is refused.
  int max_calls = 1024;
  // How long calls may go on after the input ended.
  absl::Duration grace = absl::Seconds(1);
};

// Serves until the input ends or `stop` is requested. Calls run side by side, answers leave as they
// are ready, each whole. A line that is too long is refused and skipped. At the end, calls get
// `grace`, then they are told to stop waiting; operations go on. Returns when all have ended.
// Unavailable: reading or writing failed. The descriptors stay open.
absl::Status RunStdioTransport(const McpServer& server, const StdioTransportOptions& options,
                               std::stop_token stop);

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_STDIO_TRANSPORT_H_
