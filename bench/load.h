#ifndef BENCH_LOAD_H_
#define BENCH_LOAD_H_

// Load on an MCP server: wrk over HTTP, many requests in flight over stdio, many open HTTP requests
// that wait. Used by one thread.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"

namespace contree::bench {

struct HttpLoad {
  double calls_per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  int errors = 0;  // connections that failed or broke, answers that were no success
};

// What the script that wrk runs sends again and again: a call of a tool by a client of a revision.
struct HttpCall {
  std::string script;
  std::string revision;
  std::string tool;
  std::string arguments;  // JSON
};

// Runs wrk with one thread against `url`. Internal: wrk cannot be run.
absl::StatusOr<HttpLoad> LoadHttp(const HttpCall& call, const std::string& url, int connections,
                                  absl::Duration duration);

// A child process that answers each line on its stdin with one on its stdout.
class LineServer {
 public:
  // NotFound and others: it cannot be run.
  static absl::StatusOr<std::unique_ptr<LineServer>> Start(std::vector<std::string> command);
  ~LineServer();  // closes its stdin and waits for its end

  // Sends `line` (with its line end) and waits for one line. Unavailable: it ended.
  absl::StatusOr<std::string> Ask(const std::string& line);

  // Sends `count` requests, `in_flight` at a time, and counts the lines that come back. Each is
  // {"jsonrpc":"2.0","id":N, and `rest`. Unavailable: it ended.
  absl::Status AskMany(const std::string& rest, int64_t count, int in_flight);

  pid_t pid() const { return pid_; }

 private:
  LineServer(pid_t pid, UniqueFd input, UniqueFd output);

  const pid_t pid_;
  UniqueFd input_;
  UniqueFd output_;
};

// Connections on each of which one request was sent; the answers are on their way.
class OpenRequests {
 public:
  // Unavailable: cannot connect.
  static absl::StatusOr<OpenRequests> Send(int port, int count, const std::string& request);

  // Waits until something came on each, at most `timeout`; how many there are.
  int WaitForFirstBytes(absl::Duration timeout);

  // Waits until what came on each since the last call (or ever) holds `text`, at most `timeout`;
  // how many there are.
  int WaitForText(const std::string& text, absl::Duration timeout);

 private:
  std::vector<UniqueFd> sockets_;
};

}  // namespace contree::bench

#endif  // BENCH_LOAD_H_
