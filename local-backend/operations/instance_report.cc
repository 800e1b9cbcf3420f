#include "local-backend/operations/instance_report.h"

#include <sys/utsname.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "local-backend/sandbox/network_addresses.h"

namespace contree {
namespace {

using nlohmann::json;

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
  if (exit.written_bytes > 0) {
    log_.Append(0, "size_cap",
                {{"limit_bytes", request_.max_layer_bytes}, {"file_size", exit.written_bytes}});
  }
  if (request_.networking) log_.Append(0, "network", NetworkOf(exit));
  log_.Append(0, "shutdown",
              {{"stopped_at", FormatApiTime(absl::Now())},
               {"reason", exit.timed_out ? "timeout" : "job_complete"}});
}

json InstanceReport::NetworkOf(const SandboxExit& exit) const {
  if (!no_network_.empty()) return {{"interfaces", json::array()}, {"error", no_network_}};
  const NetworkTraffic& traffic = exit.traffic;
  json network = {{"interfaces",
                   {{{"name", kTapName},
                     {"rx_bytes", traffic.received_bytes},
                     {"rx_packets", traffic.received_packets},
                     {"rx_errs", 0},
                     {"rx_drop", 0},
                     {"tx_bytes", traffic.sent_bytes},
                     {"tx_packets", traffic.sent_packets},
                     {"tx_errs", 0},
                     {"tx_drop", 0}}}},
                  {"configured",
                   {{"ip4", absl::StrCat(kGuestAddress, "/", kGuestPrefixLength)},
                    {"ip4_gw", kGatewayAddress},
                    {"ip6", ""},
                    {"ip6_gw", ""},
                    {"gw_mac", ""},
                    {"nameserver", kNameserverAddress}}}};
  if (!exit.network_error.empty()) network["error"] = exit.network_error;
  return network;
}

}  // namespace contree
