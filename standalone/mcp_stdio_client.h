#ifndef STANDALONE_MCP_STDIO_CLIENT_H_
#define STANDALONE_MCP_STDIO_CLIENT_H_

// An MCP client that runs a server as its child and speaks JSON-RPC to it over stdin and stdout, as
// agents do. The demo, the scenario tests and the benchmarks drive contree-mcp through it.

#include <sys/types.h>

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"

namespace contree::standalone {

// Used by one thread at a time.
class McpStdioClient {
 public:
  // Starts `command` (program and arguments; the environment is this process's). Its stderr goes to
  // `stderr_path`, or where ours goes if that is empty. NotFound and others: it cannot be run.
  static absl::StatusOr<std::unique_ptr<McpStdioClient>> Start(std::vector<std::string> command,
                                                               const std::string& stderr_path = "");
  ~McpStdioClient();  // closes the server's stdin and waits for its end; after five seconds kills
                      // it

  // Writes one message as a line. Unavailable: the server is gone.
  absl::Status Send(const nlohmann::json& message);
  absl::Status SendRaw(const std::string& line);

  // Reads the next message, whatever it is. DeadlineExceeded. Unavailable: the server closed its
  // stdout. DataLoss: a line that is not JSON.
  absl::StatusOr<nlohmann::json> Receive(absl::Duration timeout);

  // Sends a request and waits for its answer; notifications that come before it are kept in
  // notifications(). Returns the whole response, with "result" or "error".
  absl::StatusOr<nlohmann::json> Request(const std::string& method, const nlohmann::json& params,
                                         absl::Duration timeout);

  // initialize and notifications/initialized; returns the server's result.
  absl::StatusOr<nlohmann::json> Initialize(const std::string& protocol_version,
                                            absl::Duration timeout);

  // From now on tools/call asks to be told of progress; each message goes to `listener`, in the
  // thread that waits for the answer.
  void ListenToProgress(std::function<void(const std::string& message)> listener) {
    on_progress_ = std::move(listener);
  }

  // tools/call; returns the "result" ({content, structuredContent, isError}). InvalidArgument: a
  // JSON-RPC error, as text.
  absl::StatusOr<nlohmann::json> CallTool(const std::string& name, const nlohmann::json& arguments,
                                          absl::Duration timeout);

  const std::vector<nlohmann::json>& notifications() const { return notifications_; }
  pid_t pid() const { return pid_; }

  // Closes the server's stdin and waits for its end. Returns its exit code, or 128 + the signal
  // that ended it. DeadlineExceeded: it still runs.
  absl::StatusOr<int> CloseAndWait(absl::Duration timeout);

 private:
  McpStdioClient(pid_t pid, UniqueFd input, UniqueFd output);

  pid_t pid_;  // -1 once it ended
  UniqueFd input_;
  UniqueFd output_;
  std::string buffer_;
  int last_id_ = 0;
  std::vector<nlohmann::json> notifications_;
  std::function<void(const std::string& message)> on_progress_ = nullptr;
};

}  // namespace contree::standalone

#endif  // STANDALONE_MCP_STDIO_CLIENT_H_
