// What counting costs: a series found by four labels, and a duration. With several threads all
// count in the same series, the worst there is.
//   bazel run -c opt //common/telemetry:metrics_benchmark

#include <benchmark/benchmark.h>

#include "common/telemetry/metrics.h"

namespace contree {
namespace {

void CountACall(benchmark::State& state) {
  static auto& calls =
      *new CounterMetric("bench_calls_total", "Calls.", {"service", "method", "tenant", "code"});
  for (auto _ : state) calls.Add({"contree.v1.ContreeService", "GetImage", "local", "OK"});
}
BENCHMARK(CountACall)->ThreadRange(1, 4)->UseRealTime();

void TimeACall(benchmark::State& state) {
  static auto& durations =
      *new DurationMetric("bench_duration_seconds", "Time.", {"service", "method"});
  for (auto _ : state) durations.Observe({"contree.v1.ContreeService", "GetImage"}, 0.001);
}
BENCHMARK(TimeACall)->ThreadRange(1, 4)->UseRealTime();

}  // namespace
}  // namespace contree

BENCHMARK_MAIN();
