#ifndef LOCAL_BACKEND_OPERATIONS_PROCESS_REPORT_H_
#define LOCAL_BACKEND_OPERATIONS_PROCESS_REPORT_H_

// Turns what happens to one process of a sandbox into events, and events back into what the API
// shows of the process.

#include <atomic>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "local-backend/operations/event_log.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

// A command as the API asks for it.
struct ProcessRequest {
  std::string command;
  std::vector<std::string> arguments = {};
  bool shell = false;
  std::map<std::string, std::string> environment = {};  // beside the image's
  std::string cwd = "";                                 // empty: /
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string stdin_bytes = "";
  bool stdin_stays_open = false;
  int64_t truncate_output_at = 1 << 20;  // bytes of each stream
};

// What the log of an operation may grow to by the output of all its processes; the rest counts as
// dropped.
inline constexpr int64_t kMaxLogBytes = 64 * 1024 * 1024;

// Used by one thread at a time, except OnStdin.
class ProcessReport {
 public:
  // What of `request` the start of the process will show. `log` outlives it. `timeout`: zero: none.
  ProcessReport(int spid, const ProcessRequest& request, absl::Duration timeout, EventLog& log,
                int64_t max_log_bytes = kMaxLogBytes);

  void OnStarted(int pid);
  // Keeps and shows at most truncate_output_at bytes of each stream.
  void OnOutput(OutputStream stream, absl::string_view bytes);
  void OnExit(const SandboxExit& exit);
  // What was written to its stdin. Thread-safe.
  void OnStdin(absl::string_view bytes);

 private:
  struct Stream {
    int64_t kept = 0;
    int64_t dropped = 0;
  };

  const int spid_;
  const int64_t truncate_at_;
  const int64_t max_log_bytes_;
  std::string spawn_;  // the data of the event, as JSON
  EventLog& log_;
  Stream stdout_;
  Stream stderr_;
  std::atomic<int64_t> shown_stdin_ = 0;
};

// The InstanceResult of a process by the events of its operation so far. While it runs, exit_code
// and signal are -1.
nlohmann::json ProcessResult(const std::vector<Event>& events, int spid);

// [{"spid", "pid", "command", "args", "state"}]: the processes that were started, in their order.
nlohmann::json ProcessList(const std::vector<Event>& events);

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_PROCESS_REPORT_H_
