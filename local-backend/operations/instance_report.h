#ifndef LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_
#define LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_

// Turns what happens in a sandbox as a whole into the events that the API shows; of its command
// there is a ProcessReport. Used by one thread at a time.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "local-backend/operations/event_log.h"
#include "local-backend/operations/operations.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

class InstanceReport {
 public:
  // `no_network`: see Operations::Options.
  InstanceReport(const InstanceRequest& request, const std::string& no_network, EventLog& log)
      : request_(request), no_network_(no_network), log_(log) {}

  void OnInit();
  // After the command's own exit.
  void OnExit(const SandboxExit& exit);

 private:
  nlohmann::json NetworkOf(const SandboxExit& exit) const;

  const InstanceRequest& request_;
  const std::string& no_network_;
  EventLog& log_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_INSTANCE_REPORT_H_
