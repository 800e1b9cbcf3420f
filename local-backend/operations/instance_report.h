#ifndef LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_
#define LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_

// Turns what happens in a sandbox into the events and the result that the API shows. Used by one
// thread.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/strings/string_view.h"
#include "local-backend/operations/event_log.h"
#include "local-backend/operations/operations.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

class InstanceReport {
 public:
  InstanceReport(const InstanceRequest& request, EventLog& log) : request_(request), log_(log) {}

  void OnInit();
  void OnStarted(int pid);
  // Keeps and shows at most truncate_output_at bytes of each stream.
  void OnOutput(OutputStream stream, absl::string_view bytes);
  void OnExit(const SandboxExit& exit);

  // The InstanceResult, as JSON.
  std::string Result(const SandboxExit& exit) const;

 private:
  struct Captured {
    std::string bytes;
    int64_t dropped = 0;
  };

  const InstanceRequest& request_;
  EventLog& log_;
  Captured stdout_;
  Captured stderr_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_
