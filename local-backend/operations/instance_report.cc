#include "local-backend/operations/instance_report.h"

#include <sys/utsname.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "local-backend/operations/stream_representation.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr int kMainSpid = static_cast<int>(kMainProcess);
constexpr char kNoNetwork[] = "this backend gives sandboxes no network but loopback";

double Seconds(int64_t microseconds) { return static_cast<double>(microseconds) / 1e6; }

// Whether the name of a variable says that its value is nobody's business.
bool LooksSecret(absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  for (const char* word : {"TOKEN", "SECRET", "PASS", "KEY", "CREDENTIAL", "AUTH"}) {
    if (absl::StrContains(upper, word)) return true;
  }
  return false;
}

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

void InstanceReport::OnStarted(int pid) {
  json environment = json::object();
  for (const auto& [name, value] : request_.environment) {
    environment[name] = LooksSecret(name) ? "<REDACTED>" : value;
  }
  log_.Append(kMainSpid, "spawn",
              {{"pid", pid},
               {"command", request_.command},
               {"args", request_.arguments},
               {"shell", request_.shell},
               {"cwd", request_.cwd.empty() ? "/" : request_.cwd},
               {"uid", request_.uid},
               {"gid", request_.gid},
               {"timeout", absl::ToInt64Seconds(request_.timeout)},
               {"truncate_at", request_.truncate_output_at},
               {"env", environment}});
}

void InstanceReport::OnOutput(OutputStream stream, absl::string_view bytes) {
  Captured& captured = stream == OutputStream::kStdout ? stdout_ : stderr_;
  const int64_t room = request_.truncate_output_at - static_cast<int64_t>(captured.bytes.size());
  const absl::string_view kept = bytes.substr(0, static_cast<size_t>(std::max<int64_t>(0, room)));
  captured.dropped += static_cast<int64_t>(bytes.size() - kept.size());
  if (kept.empty()) return;
  captured.bytes.append(kept.data(), kept.size());
  log_.Append(kMainSpid, stream == OutputStream::kStdout ? "stdout" : "stderr",
              ToStreamRepresentation(kept, captured.dropped > 0));
}

void InstanceReport::OnExit(const SandboxExit& exit) {
  for (const auto& [name, captured] :
       {std::pair{"stdout", &stdout_}, std::pair{"stderr", &stderr_}}) {
    if (captured->dropped == 0) continue;
    log_.Append(kMainSpid, "truncated",
                {{"stream", name},
                 {"bytes_emitted", captured->bytes.size()},
                 {"bytes_dropped", captured->dropped}});
  }
  const ExitedReply& usage = exit.usage;
  log_.Append(kMainSpid, "exit",
              {{"pid", exit.pid},
               {"code", exit.exit_code},
               {"signal", exit.signal},
               {"core_dump", exit.core_dump},
               {"timed_out", exit.timed_out},
               {"duration_ms", absl::ToInt64Milliseconds(exit.elapsed)},
               {"resources",
                {{"user_time_us", usage.user_microseconds},
                 {"sys_time_us", usage.system_microseconds},
                 {"max_rss_kb", usage.max_rss_kilobytes},
                 {"shared_memory", 0},
                 {"unshared_memory", 0},
                 {"swaps", 0},
                 {"minor_faults", usage.minor_faults},
                 {"major_faults", usage.major_faults},
                 {"voluntary_ctx_switches", usage.voluntary_switches},
                 {"involuntary_ctx_switches", usage.involuntary_switches},
                 {"block_input_ops", usage.block_input_operations},
                 {"block_output_ops", usage.block_output_operations},
                 {"ipc_msgs_sent", 0},
                 {"ipc_msgs_received", 0},
                 {"signals_received", 0}}}});
  if (request_.networking) {
    log_.Append(0, "network", {{"interfaces", json::array()}, {"error", kNoNetwork}});
  }
}

std::string InstanceReport::Result(const SandboxExit& exit) const {
  const ExitedReply& usage = exit.usage;
  const double elapsed = absl::ToDoubleSeconds(exit.elapsed);
  const json result = {{"resources",
                        {{"block_input", usage.block_input_operations},
                         {"block_output", usage.block_output_operations},
                         {"cost", 0.0},
                         {"elapsed_time", elapsed},
                         {"involuntary_switches", usage.involuntary_switches},
                         {"max_rss", usage.max_rss_kilobytes},
                         {"monotonic_time", elapsed},
                         {"page_faults", usage.minor_faults},
                         {"page_faults_io", usage.major_faults},
                         {"shared_memory", 0},
                         {"signals", 0},
                         {"swaps", 0},
                         {"system_cpu_time", Seconds(usage.system_microseconds)},
                         {"unshared_memory", 0},
                         {"user_cpu_time", Seconds(usage.user_microseconds)},
                         {"voluntary_switches", usage.voluntary_switches}}},
                       {"state",
                        {{"continued", false},
                         {"core_dump", exit.core_dump},
                         {"exit_code", exit.exit_code},
                         {"pid", exit.pid},
                         {"signal", exit.signal},
                         {"stopped", false},
                         {"timed_out", exit.timed_out}}},
                       {"stdout", ToStreamRepresentation(stdout_.bytes, stdout_.dropped > 0)},
                       {"stderr", ToStreamRepresentation(stderr_.bytes, stderr_.dropped > 0)}};
  return result.dump();
}

}  // namespace contree
