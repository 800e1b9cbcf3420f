#include "local-backend/operations/instance_report.h"

#include <sys/utsname.h>

#include <nlohmann/json.hpp>

#include "absl/time/clock.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr char kNoNetwork[] = "this backend gives sandboxes no network but loopback";

}  // namespace

void InstanceReport::OnInit() {
  utsname system = {};
  uname(&system);
  log_.Append(0, "init",
              {{"started_at", FormatApiTime(absl::Now())},
               {"runtime_path", "/proc/1/exe"},
               {"verbose", false},
               {"init_pid", 1},
               {"hostname", request_.hostname},
               {"kernel", system.release},
               {"machine", system.machine}});
}

void InstanceReport::OnExit(const SandboxExit& exit) {
  if (request_.networking) {
    log_.Append(0, "network", {{"interfaces", json::array()}, {"error", kNoNetwork}});
  }
  log_.Append(0, "shutdown",
              {{"stopped_at", FormatApiTime(absl::Now())},
               {"reason", exit.timed_out ? "timeout" : "job_complete"}});
}

}  // namespace contree
