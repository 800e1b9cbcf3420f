// What a person at a desk feels, measured on the real program through MCP on stdio: how soon it
// answers, how long a command takes from end to end, how much memory it holds. Beside each time
// stands a yardstick measured in the same run, because machines differ and are noisy: quote the
// ratio.
//
//   desk_bench PROGRAM [RUNS]

#include <sys/types.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/measurement.h"
#include "common/status/status_macros.h"
#include "common/testing/temp_directory.h"
#include "standalone/mcp_stdio_client.h"

namespace contree {
namespace {

using bench::Distribution;
using bench::Measure;
using bench::PrintTimes;
using bench::ResidentMegabytes;
using bench::TimeOfProcess;
using nlohmann::json;
using standalone::McpStdioClient;

constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr char kProtocol[] = "2025-06-18";

absl::StatusOr<absl::Duration> TimeOfRun(McpStdioClient& client, const json& arguments) {
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const json result, client.CallTool("run", arguments, kTimeout));
  const absl::Duration time = absl::Now() - start;
  if (result.value("isError", false) || result["structuredContent"]["exit_code"] != 0) {
    return absl::InternalError(result.dump());
  }
  return time;
}

// The process id of the embedded backend of this state directory; 0 if there is none.
pid_t BackendOf(const std::string& state_dir) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    const std::string words((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    if (absl::StrContains(words, "local-backend") && absl::StrContains(words, state_dir))
      return std::stoi(entry.path().filename());
  }
  return 0;
}

absl::Status Bench(const std::string& program, int runs) {
  const TempDirectory state;
  const std::vector<std::string> command = {program, "--local",     "--mode",
                                            "stdio", "--state-dir", state.path()};
  // Makes the databases and the image, and leaves a backend running, as where another session is
  // open.
  ASSIGN_OR_RETURN(const auto client, McpStdioClient::Start(command));
  RETURN_IF_ERROR(client->Initialize(kProtocol, kTimeout).status());
  const json run_true = {{"command", "true"}, {"image", "tag:busybox:latest"}};
  RETURN_IF_ERROR(TimeOfRun(*client, run_true).status());

  ASSIGN_OR_RETURN(const Distribution process,
                   Measure(50, [] { return TimeOfProcess({"/bin/true"}); }));
  ASSIGN_OR_RETURN(const Distribution sandbox, Measure(50, [] {
                     return TimeOfProcess({"bwrap", "--unshare-all", "--bind", "/", "/", "--proc",
                                           "/proc", "--dev", "/dev", "/bin/true"});
                   }));
  ASSIGN_OR_RETURN(const Distribution start, Measure(30, [&]() -> absl::StatusOr<absl::Duration> {
                     const absl::Time begin = absl::Now();
                     ASSIGN_OR_RETURN(const auto fresh, McpStdioClient::Start(command));
                     RETURN_IF_ERROR(fresh->Initialize(kProtocol, kTimeout).status());
                     return absl::Now() - begin;
                   }));
  PrintTimes("start to the answer of initialize", start, "a process that does nothing", process,
             "under 50 ms");

  ASSIGN_OR_RETURN(const Distribution warm,
                   Measure(runs, [&] { return TimeOfRun(*client, run_true); }));
  PrintTimes("run true", warm, "bare bubblewrap", sandbox, "p50 under 40 ms");
  json run_change = {
      {"command", "date +%N > /root/now"}, {"image", "tag:busybox:latest"}, {"disposable", false}};
  ASSIGN_OR_RETURN(const Distribution change,
                   Measure(runs, [&] { return TimeOfRun(*client, run_change); }));
  PrintTimes("run that makes an image", change, "bare bubblewrap", sandbox, "");
  ASSIGN_OR_RETURN(const Distribution ping, Measure(runs, [&]() -> absl::StatusOr<absl::Duration> {
                     const absl::Time begin = absl::Now();
                     RETURN_IF_ERROR(client->Request("ping", json::object(), kTimeout).status());
                     return absl::Now() - begin;
                   }));
  PrintTimes("ping", ping, "a process that does nothing", process, "");
  ASSIGN_OR_RETURN(
      const Distribution read, Measure(runs, [&]() -> absl::StatusOr<absl::Duration> {
        const absl::Time begin = absl::Now();
        ASSIGN_OR_RETURN(
            const json result,
            client->CallTool("read_file",
                             {{"image", "tag:busybox:latest"}, {"path", "/etc/passwd"}}, kTimeout));
        if (result.value("isError", false)) return absl::InternalError(result.dump());
        return absl::Now() - begin;
      }));
  PrintTimes("read_file /etc/passwd", read, "a process that does nothing", process, "");

  std::cout << absl::StrFormat(
      "resident memory of contree-mcp after that    %7.1f MB  target: under 40 MB\n",
      ResidentMegabytes(client->pid()));
  const pid_t backend = BackendOf(state.path());
  if (backend != 0) {
    std::cout << absl::StrFormat("resident memory of its backend               %7.1f MB\n",
                                 ResidentMegabytes(backend));
  }
  const auto idle = McpStdioClient::Start(command);
  RETURN_IF_ERROR(idle.status());
  RETURN_IF_ERROR((*idle)->Initialize(kProtocol, kTimeout).status());
  std::cout << absl::StrFormat(
      "resident memory of contree-mcp, just started %7.1f MB  target: under 40 MB\n",
      ResidentMegabytes((*idle)->pid()));
  return absl::OkStatus();
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) {
  int runs = 200;
  if (argc < 2 || (argc > 2 && (!absl::SimpleAtoi(argv[2], &runs) || runs < 1))) {
    std::cerr << "usage: " << argv[0] << " PROGRAM [RUNS]" << std::endl;
    return 2;
  }
  const absl::Status status = contree::Bench(argv[1], runs);
  if (!status.ok()) std::cerr << "desk_bench: " << status << std::endl;
  return status.ok() ? 0 : 1;
}
