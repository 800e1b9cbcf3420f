#include "common/telemetry/metrics.h"

#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTest, CountsByLabels) {
  CounterMetric calls("test_calls_total", "Calls.", {"tool", "tenant"});
  calls.Add({"run", "a"});
  calls.Add({"run", "a"}, 2);
  calls.Add({"run", "b\"\n"});
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("# HELP test_calls_total Calls."));
  EXPECT_THAT(text, HasSubstr("# TYPE test_calls_total counter"));
  EXPECT_THAT(text, HasSubstr("test_calls_total{tenant=\"a\",tool=\"run\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("tenant=\"b\\\"\\n\""));
}

TEST(MetricsTest, GaugesGoUpAndDown) {
  GaugeMetric running("test_running", "Running.");
  running.Add({}, 3);
  running.Add({}, -1);
  EXPECT_THAT(MetricsText(), HasSubstr("test_running 2\n"));
  running.Set({}, 7);
  EXPECT_THAT(MetricsText(), HasSubstr("test_running 7\n"));
}

TEST(MetricsTest, DurationsFallIntoBuckets) {
  DurationMetric duration("test_duration_seconds", "Time.", {"tool"});
  duration.Observe({"run"}, 0.002);
  duration.Observe({"run"}, 400);
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("test_duration_seconds_bucket{tool=\"run\",le=\"0.001\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("test_duration_seconds_bucket{tool=\"run\",le=\"0.0025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("test_duration_seconds_bucket{tool=\"run\",le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("test_duration_seconds_count{tool=\"run\"} 2\n"));
}

TEST(MetricsTest, SeriesAreBounded) {
  CounterMetric calls("test_bounded_total", "Calls.", {"method"});
  for (size_t i = 0; i < kMaxSeries + 10; ++i) calls.Add({absl::StrCat("m", i)});
  calls.Add({"m3"});
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("test_bounded_total{method=\"other\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("test_bounded_total{method=\"m3\"} 2\n"));
  EXPECT_THAT(text, Not(HasSubstr(absl::StrCat("method=\"m", kMaxSeries, "\""))));
}

TEST(MetricsTest, ManySeriesOfTenantsKeepTheirOtherLabels) {
  CounterMetric calls("test_tenants_total", "Calls.", {"method", "tenant"});
  for (size_t i = 0; i <= kMaxSeries; ++i) calls.Add({absl::StrCat("m", i), "a"});
  EXPECT_THAT(MetricsText(),
              HasSubstr(absl::StrCat("{method=\"m", kMaxSeries, "\",tenant=\"other\"} 1\n")));
}

TEST(MetricsTest, NothingIsLostAmongThreads) {
  CounterMetric calls("test_threads_total", "Calls.", {"thread"});
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&calls] {
      for (int n = 0; n < 1'000; ++n) calls.Add({n % 2 == 0 ? "even" : "odd"});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(MetricsText(), HasSubstr("test_threads_total{thread=\"even\"} 4000\n"));
}

// Last: the tenants are the process's, and none is free afterwards.
TEST(MetricsTest, TenantsAreBounded) {
  CounterMetric first("test_first_total", "Calls.", {"tenant"});
  CounterMetric second("test_second_total", "Calls.", {"tenant"});
  first.Add({"early"});
  for (size_t i = 0; i < kMaxTenants + 10; ++i) first.Add({absl::StrCat("t", i)});
  second.Add({"early"});
  second.Add({absl::StrCat("t", kMaxTenants + 1)});
  const std::string text = MetricsText();
  EXPECT_THAT(text, HasSubstr("test_second_total{tenant=\"early\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("test_second_total{tenant=\"other\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr(absl::StrCat("tenant=\"t", kMaxTenants, "\""))));
}

}  // namespace
}  // namespace contree
