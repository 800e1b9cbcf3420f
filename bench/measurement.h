#ifndef BENCH_MEASUREMENT_H_
#define BENCH_MEASUREMENT_H_

// What the benchmarks share: repeated measurements, a line of output beside a yardstick, memory and
// processor time of another process. Used by one thread.

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace contree::bench {

// In milliseconds.
struct Distribution {
  double p50 = 0;
  double p99 = 0;
};

// Of at least one time.
Distribution DistributionOf(std::vector<absl::Duration> times);

// `once` measures itself. Three rounds come first that do not count. The first error ends it.
absl::StatusOr<Distribution> Measure(int runs,
                                     const std::function<absl::StatusOr<absl::Duration>()>& once);

// One line: the times of `what`, and how many times the yardstick's they are.
void PrintTimes(absl::string_view what, const Distribution& times, absl::string_view yardstick,
                const Distribution& yardstick_times, absl::string_view target);

// One line of anything else: a figure with its unit, its relation to a yardstick of the same run
// ("" where there is none) and the target ("" likewise).
void PrintFigure(absl::string_view what, double value, absl::string_view unit,
                 absl::string_view relation, absl::string_view target);

// From starting a program to its end. Internal: it failed.
absl::StatusOr<absl::Duration> TimeOfProcess(std::vector<std::string> command);

// Of a running process; 0 where it is gone.
double ResidentMegabytes(pid_t pid);
absl::Duration ProcessorTime(pid_t pid);

}  // namespace contree::bench

#endif  // BENCH_MEASUREMENT_H_
