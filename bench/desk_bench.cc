// What a person at a desk feels, measured on the real program through MCP on stdio: how soon it
// answers, how long a command takes from end to end, how much memory it holds. Beside each time
// stands a yardstick measured in the same run, because machines differ and are noisy: quote the
// ratio.
//
//   desk_bench PROGRAM [RUNS]

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
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
#include "common/status/status_macros.h"
#include "common/testing/temp_directory.h"
#include "standalone/mcp_stdio_client.h"

extern char** environ;

namespace contree {
namespace {

using nlohmann::json;
using standalone::McpStdioClient;

constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr char kProtocol[] = "2025-06-18";

struct Distribution {
  double p50 = 0;
  double p99 = 0;
};

// `once` measures itself. Three rounds come first that do not count.
absl::StatusOr<Distribution> Measure(int runs,
                                     const std::function<absl::StatusOr<absl::Duration>()>& once) {
  std::vector<double> milliseconds;
  for (int i = -3; i < runs; ++i) {
    ASSIGN_OR_RETURN(const absl::Duration time, once());
    if (i >= 0) milliseconds.push_back(absl::ToDoubleMilliseconds(time));
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  return Distribution{.p50 = milliseconds[milliseconds.size() / 2],
                      .p99 = milliseconds[milliseconds.size() * 99 / 100]};
}

void Print(absl::string_view what, const Distribution& times, absl::string_view yardstick,
           const Distribution& other, absl::string_view target) {
  std::cout << absl::StrFormat("%-40s p50 %7.2f ms  p99 %7.2f ms  %6.2f x %s (p50 %.2f ms)%s%s",
                               what, times.p50, times.p99, times.p50 / other.p50, yardstick,
                               other.p50, target.empty() ? "" : "  target: ", target)
            << std::endl;
}

absl::StatusOr<absl::Duration> TimeOfProcess(std::vector<std::string> command) {
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  const absl::Time start = absl::Now();
  pid_t pid = 0;
  if (const int error = posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
      error != 0) {
    return absl::ErrnoToStatus(error, command[0]);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0)
    return absl::InternalError(absl::StrCat(command[0], " ended with status ", status));
  return absl::Now() - start;
}

absl::StatusOr<absl::Duration> TimeOfRun(McpStdioClient& client, const json& arguments) {
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const json result, client.CallTool("run", arguments, kTimeout));
  const absl::Duration time = absl::Now() - start;
  if (result.value("isError", false) || result["structuredContent"]["exit_code"] != 0) {
    return absl::InternalError(result.dump());
  }
  return time;
}

double ResidentMegabytes(const std::string& pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  std::string line;
  while (std::getline(status, line)) {
    double kilobytes = 0;
    if (std::sscanf(line.c_str(), "VmRSS: %lf", &kilobytes) == 1) return kilobytes / 1024;
  }
  return 0;
}

// The process id of the embedded backend of this state directory; "" if there is none.
std::string BackendOf(const std::string& state_dir) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    const std::string words((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    if (absl::StrContains(words, "local-backend") && absl::StrContains(words, state_dir))
      return entry.path().filename();
  }
  return "";
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
  Print("start to the answer of initialize", start, "a process that does nothing", process,
        "under 50 ms");

  ASSIGN_OR_RETURN(const Distribution warm,
                   Measure(runs, [&] { return TimeOfRun(*client, run_true); }));
  Print("run true", warm, "bare bubblewrap", sandbox, "p50 under 40 ms");
  json run_change = {
      {"command", "date +%N > /root/now"}, {"image", "tag:busybox:latest"}, {"disposable", false}};
  ASSIGN_OR_RETURN(const Distribution change,
                   Measure(runs, [&] { return TimeOfRun(*client, run_change); }));
  Print("run that makes an image", change, "bare bubblewrap", sandbox, "");
  ASSIGN_OR_RETURN(const Distribution ping, Measure(runs, [&]() -> absl::StatusOr<absl::Duration> {
                     const absl::Time begin = absl::Now();
                     RETURN_IF_ERROR(client->Request("ping", json::object(), kTimeout).status());
                     return absl::Now() - begin;
                   }));
  Print("ping", ping, "a process that does nothing", process, "");
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
  Print("read_file /etc/passwd", read, "a process that does nothing", process, "");

  std::cout << absl::StrFormat(
      "resident memory of contree-mcp after that    %7.1f MB  target: under 40 MB\n",
      ResidentMegabytes(std::to_string(client->pid())));
  const std::string backend = BackendOf(state.path());
  if (!backend.empty()) {
    std::cout << absl::StrFormat("resident memory of its backend               %7.1f MB\n",
                                 ResidentMegabytes(backend));
  }
  const auto idle = McpStdioClient::Start(command);
  RETURN_IF_ERROR(idle.status());
  RETURN_IF_ERROR((*idle)->Initialize(kProtocol, kTimeout).status());
  std::cout << absl::StrFormat(
      "resident memory of contree-mcp, just started %7.1f MB  target: under 40 MB\n",
      ResidentMegabytes(std::to_string((*idle)->pid())));
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
