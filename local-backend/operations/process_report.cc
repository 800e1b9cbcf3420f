#include "local-backend/operations/process_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "local-backend/operations/stream_representation.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr int64_t kMaxShownStdin = 64 * 1024;  // the process gets all of it

// Whether the name of a variable says that its value is nobody's business.
bool LooksSecret(absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  for (const char* word : {"TOKEN", "SECRET", "PASS", "KEY", "CREDENTIAL", "AUTH"}) {
    if (absl::StrContains(upper, word)) return true;
  }
  return false;
}

json DataOf(const Event& event) {
  json whole = json::parse(event.json, nullptr, false);
  const auto data = whole.is_object() ? whole.find("data") : whole.end();
  return data != whole.end() && data->is_object() ? std::move(*data) : json::object();
}

json RunningState() {
  return {{"continued", false}, {"core_dump", false}, {"exit_code", -1},   {"pid", 0},
          {"signal", -1},       {"stopped", false},   {"timed_out", false}};
}

void SetStateByExit(const json& exit, json& state) {
  state["exit_code"] = exit.value("code", -1);
  state["signal"] = exit.value("signal", -1);
  state["core_dump"] = exit.value("core_dump", false);
  state["timed_out"] = exit.value("timed_out", false);
  state["pid"] = exit.value("pid", 0);
}

json ResourcesOf(const json& exit) {
  const json used = exit.value("resources", json::object());
  const auto count = [&used](const char* name) { return used.value(name, int64_t{0}); };
  const auto seconds = [&count](const char* name) {
    return static_cast<double>(count(name)) / 1e6;
  };
  const double elapsed = static_cast<double>(exit.value("duration_ms", int64_t{0})) / 1e3;
  return {{"block_input", count("block_input_ops")},
          {"block_output", count("block_output_ops")},
          {"cost", 0.0},
          {"elapsed_time", elapsed},
          {"involuntary_switches", count("involuntary_ctx_switches")},
          {"max_rss", count("max_rss_kb")},
          {"monotonic_time", elapsed},
          {"page_faults", count("minor_faults")},
          {"page_faults_io", count("major_faults")},
          {"shared_memory", 0},
          {"signals", 0},
          {"swaps", 0},
          {"system_cpu_time", seconds("sys_time_us")},
          {"unshared_memory", 0},
          {"user_cpu_time", seconds("user_time_us")},
          {"voluntary_switches", count("voluntary_ctx_switches")}};
}

struct Collected {
  std::string bytes;
  bool truncated = false;
};

void Collect(const json& chunk, Collected& stream) {
  if (auto bytes = FromStreamRepresentation(chunk); bytes.ok()) stream.bytes += *bytes;
  stream.truncated |= chunk.value("truncated", false);
}

}  // namespace

ProcessReport::ProcessReport(int spid, const ProcessRequest& request, absl::Duration timeout,
                             EventLog& log, int64_t max_log_bytes)
    : spid_(spid),
      truncate_at_(request.truncate_output_at),
      max_log_bytes_(max_log_bytes),
      log_(log) {
  json environment = json::object();
  for (const auto& [name, value] : request.environment) {
    environment[name] = LooksSecret(name) ? "<REDACTED>" : value;
  }
  spawn_ = json{{"command", request.command},
                {"args", request.arguments},
                {"shell", request.shell},
                {"cwd", request.cwd.empty() ? "/" : request.cwd},
                {"uid", request.uid},
                {"gid", request.gid},
                {"timeout", absl::ToInt64Seconds(timeout)},
                {"truncate_at", request.truncate_output_at},
                {"env", environment}}
               .dump(-1, ' ', false, json::error_handler_t::replace);
}

void ProcessReport::OnStarted(int pid) {
  json spawn = json::parse(spawn_);
  spawn["pid"] = pid;
  log_.Append(spid_, "spawn", spawn);
}

void ProcessReport::OnOutput(OutputStream stream, absl::string_view bytes) {
  Stream& counted = stream == OutputStream::kStdout ? stdout_ : stderr_;
  int64_t room = truncate_at_ - counted.kept;
  // Many small pieces take more than their bytes.
  if (log_.bytes() >= max_log_bytes_) room = 0;
  const absl::string_view kept = bytes.substr(0, static_cast<size_t>(std::max<int64_t>(0, room)));
  counted.dropped += static_cast<int64_t>(bytes.size() - kept.size());
  counted.kept += static_cast<int64_t>(kept.size());
  if (kept.empty()) return;
  log_.Append(spid_, stream == OutputStream::kStdout ? "stdout" : "stderr",
              ToStreamRepresentation(kept, counted.dropped > 0));
}

void ProcessReport::OnStdin(absl::string_view bytes) {
  const int64_t shown = shown_stdin_.fetch_add(static_cast<int64_t>(bytes.size()));
  const int64_t room = std::clamp<int64_t>(kMaxShownStdin - shown, 0, kMaxShownStdin);
  const absl::string_view kept = bytes.substr(0, static_cast<size_t>(room));
  if (kept.empty()) return;
  log_.Append(spid_, "stdin", ToStreamRepresentation(kept, kept.size() < bytes.size()));
}

void ProcessReport::OnExit(const SandboxExit& exit) {
  for (const auto& [name, stream] :
       {std::pair{"stdout", &stdout_}, std::pair{"stderr", &stderr_}}) {
    if (stream->dropped == 0) continue;
    log_.Append(
        spid_, "truncated",
        {{"stream", name}, {"bytes_emitted", stream->kept}, {"bytes_dropped", stream->dropped}});
  }
  const ExitedReply& usage = exit.usage;
  log_.Append(spid_, "exit",
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
}

json ProcessResult(const std::vector<Event>& events, int spid) {
  json state = RunningState();
  json resources = ResourcesOf(json::object());
  Collected out;
  Collected err;
  for (const Event& event : events) {
    if (event.spid != spid) continue;
    if (event.type == "stdout") {
      Collect(DataOf(event), out);
    } else if (event.type == "stderr") {
      Collect(DataOf(event), err);
    } else if (event.type == "spawn") {
      state["pid"] = DataOf(event).value("pid", 0);
    } else if (event.type == "truncated") {
      (DataOf(event).value("stream", "") == "stdout" ? out : err).truncated = true;
    } else if (event.type == "exit") {
      const json exit = DataOf(event);
      SetStateByExit(exit, state);
      resources = ResourcesOf(exit);
    }
  }
  return {{"resources", std::move(resources)},
          {"state", std::move(state)},
          {"stdout", ToStreamRepresentation(out.bytes, out.truncated)},
          {"stderr", ToStreamRepresentation(err.bytes, err.truncated)}};
}

json ProcessList(const std::vector<Event>& events) {
  std::map<int, json> processes;
  for (const Event& event : events) {
    if (event.type == "spawn") {
      const json spawn = DataOf(event);
      json state = RunningState();
      state["pid"] = spawn.value("pid", 0);
      processes[event.spid] = {{"spid", event.spid},
                               {"pid", state["pid"]},
                               {"command", spawn.value("command", "")},
                               {"args", spawn.value("args", json::array())},
                               {"state", state}};
    } else if (event.type == "exit" && processes.count(event.spid) > 0) {
      SetStateByExit(DataOf(event), processes[event.spid]["state"]);
    }
  }
  json list = json::array();
  for (auto& [spid, process] : processes) list.push_back(std::move(process));
  return list;
}

}  // namespace contree
