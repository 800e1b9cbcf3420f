#ifndef COMMON_TELEMETRY_METRICS_H_
#define COMMON_TELEMETRY_METRICS_H_

// What this process counts, for Prometheus. A metric is a static object beside the code that
// counts; its name and labels follow Prometheus' conventions (a unit and _total in the name).
// Thread-safe.
//
// A call finds its series by the values of its labels without any lock and adds to an atomic (a
// duration: to a histogram, under that series' own lock): some 50 ns. Only a series that is new
// takes a lock.
//
// Values from outside are bounded. A label "tenant" has the first kMaxTenants tenants of the
// process; others count together as "other". Once a metric has kMaxSeries series, new ones are of
// the tenant "other", and past twice that all their labels are "other".

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace contree {

inline constexpr size_t kMaxTenants = 1'000;
inline constexpr size_t kMaxSeries = 10'000;

using LabelNames = std::vector<std::string>;
// In the order of the names, as many.
using LabelValues = std::initializer_list<absl::string_view>;

class CounterMetric {
 public:
  CounterMetric(const std::string& name, const std::string& help, LabelNames labels = {});
  ~CounterMetric();
  void Add(LabelValues values, double by = 1);

 private:
  class Series;
  const std::unique_ptr<Series> series_;
};

class GaugeMetric {
 public:
  GaugeMetric(const std::string& name, const std::string& help, LabelNames labels = {});
  ~GaugeMetric();
  void Set(LabelValues values, double value);
  void Add(LabelValues values, double by);

 private:
  class Series;
  const std::unique_ptr<Series> series_;
};

// Of durations in seconds, in buckets from 100 microseconds to 5 minutes.
class DurationMetric {
 public:
  DurationMetric(const std::string& name, const std::string& help, LabelNames labels = {});
  ~DurationMetric();
  void Observe(LabelValues values, double seconds);

 private:
  class Series;
  const std::unique_ptr<Series> series_;
};

// All of it in Prometheus' text format (version 0.0.4).
std::string MetricsText();

}  // namespace contree

#endif  // COMMON_TELEMETRY_METRICS_H_
