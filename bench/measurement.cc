#include "bench/measurement.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"

extern char** environ;

namespace contree::bench {
namespace {

std::string WithTarget(absl::string_view target) {
  return target.empty() ? "" : absl::StrCat("  target: ", target);
}

}  // namespace

Distribution DistributionOf(std::vector<absl::Duration> times) {
  std::sort(times.begin(), times.end());
  return {.p50 = absl::ToDoubleMilliseconds(times[times.size() / 2]),
          .p99 = absl::ToDoubleMilliseconds(times[times.size() * 99 / 100])};
}

absl::StatusOr<Distribution> Measure(int runs,
                                     const std::function<absl::StatusOr<absl::Duration>()>& once) {
  std::vector<absl::Duration> times;
  for (int i = -3; i < runs; ++i) {
    ASSIGN_OR_RETURN(const absl::Duration time, once());
    if (i >= 0) times.push_back(time);
  }
  return DistributionOf(std::move(times));
}

void PrintTimes(absl::string_view what, const Distribution& times, absl::string_view yardstick,
                const Distribution& yardstick_times, absl::string_view target) {
  std::cout << absl::StrFormat("%-44s p50 %8.2f ms  p99 %8.2f ms  %6.2f x %s (p50 %.2f ms)%s", what,
                               times.p50, times.p99, times.p50 / yardstick_times.p50, yardstick,
                               yardstick_times.p50, WithTarget(target))
            << std::endl;
}

void PrintFigure(absl::string_view what, double value, absl::string_view unit,
                 absl::string_view relation, absl::string_view target) {
  std::cout << absl::StrFormat("%-44s %12.1f %s%s%s", what, value, unit,
                               relation.empty() ? "" : absl::StrCat("  ", relation),
                               WithTarget(target))
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
  if (status != 0) {
    return absl::InternalError(absl::StrCat(command[0], " ended with status ", status));
  }
  return absl::Now() - start;
}

double ResidentMegabytes(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  std::string line;
  while (std::getline(status, line)) {
    double kilobytes = 0;
    if (std::sscanf(line.c_str(), "VmRSS: %lf", &kilobytes) == 1) return kilobytes / 1024;
  }
  return 0;
}

absl::Duration ProcessorTime(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  // Behind the name, which may hold anything: state and ten more fields, then utime and stime.
  const size_t behind_name = text.rfind(')');
  if (behind_name == std::string::npos) return absl::ZeroDuration();
  long user = 0;
  long system = 0;
  if (std::sscanf(text.c_str() + behind_name + 1,
                  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user, &system) != 2) {
    return absl::ZeroDuration();
  }
  return absl::Seconds(static_cast<double>(user + system) /
                       static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace contree::bench
