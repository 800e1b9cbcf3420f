#ifndef LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_
#define LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_

// Turns what happens in a sandbox as a whole into the events that the API shows; of its command
// there is a ProcessReport. Used by one thread at a time.

#include "local-backend/operations/event_log.h"
#include "local-backend/operations/operations.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

class InstanceReport {
 public:
  InstanceReport(const InstanceRequest& request, EventLog& log) : request_(request), log_(log) {}

  void OnInit();
  // After the command's own exit.
  void OnExit(const SandboxExit& exit);

 private:
  const InstanceRequest& request_;
  EventLog& log_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_
