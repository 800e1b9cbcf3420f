#include "common/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"

namespace contree {
namespace {

constexpr char kOther[] = "other";

// Never destroyed: what counts at the end of the process still may.
prometheus::Registry& ProcessRegistry() {
  static auto& registry = *new prometheus::Registry();
  return registry;
}

const prometheus::Histogram::BucketBoundaries& DurationBuckets() {
  static const auto& buckets = *new prometheus::Histogram::BucketBoundaries{
      0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
      0.25,   0.5,    1,     2.5,    5,     10,   30,    60,   300};
  return buckets;
}

// The series of one metric by the values of its labels.
template <typename Metric>
class SeriesTable {
 public:
  SeriesTable(prometheus::Family<Metric>& family, LabelNames names)
      : family_(family), names_(std::move(names)) {}

  template <typename... Arguments>
  Metric& Find(LabelValues values, const Arguments&... arguments) {
    const std::string key = absl::StrJoin(values, absl::string_view("\0", 1));
    {
      absl::ReaderMutexLock lock(&mutex_);
      if (const auto found = series_.find(key); found != series_.end()) return *found->second;
    }
    absl::MutexLock lock(&mutex_);
    if (const auto found = series_.find(key); found != series_.end()) return *found->second;
    const bool is_full = series_.size() >= kMaxSeries;
    std::map<std::string, std::string> labels;
    auto value = values.begin();
    for (const std::string& name : names_)
      labels[name] = is_full ? kOther : std::string(value == values.end() ? "" : *value++);
    Metric& metric = family_.Add(labels, arguments...);
    if (!is_full) series_[key] = &metric;
    return metric;
  }

 private:
  prometheus::Family<Metric>& family_;
  const LabelNames names_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Metric*> series_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

class CounterMetric::Series : public SeriesTable<prometheus::Counter> {
  using SeriesTable::SeriesTable;
};
class GaugeMetric::Series : public SeriesTable<prometheus::Gauge> {
  using SeriesTable::SeriesTable;
};
class DurationMetric::Series : public SeriesTable<prometheus::Histogram> {
  using SeriesTable::SeriesTable;
};

CounterMetric::CounterMetric(const std::string& name, const std::string& help, LabelNames labels)
    : series_(std::make_unique<Series>(
          prometheus::BuildCounter().Name(name).Help(help).Register(ProcessRegistry()),
          std::move(labels))) {}
CounterMetric::~CounterMetric() = default;
void CounterMetric::Add(LabelValues values, double by) { series_->Find(values).Increment(by); }

GaugeMetric::GaugeMetric(const std::string& name, const std::string& help, LabelNames labels)
    : series_(std::make_unique<Series>(
          prometheus::BuildGauge().Name(name).Help(help).Register(ProcessRegistry()),
          std::move(labels))) {}
GaugeMetric::~GaugeMetric() = default;
void GaugeMetric::Set(LabelValues values, double value) { series_->Find(values).Set(value); }
void GaugeMetric::Add(LabelValues values, double by) { series_->Find(values).Increment(by); }

DurationMetric::DurationMetric(const std::string& name, const std::string& help, LabelNames labels)
    : series_(std::make_unique<Series>(
          prometheus::BuildHistogram().Name(name).Help(help).Register(ProcessRegistry()),
          std::move(labels))) {}
DurationMetric::~DurationMetric() = default;
void DurationMetric::Observe(LabelValues values, double seconds) {
  series_->Find(values, DurationBuckets()).Observe(seconds);
}

std::string MetricsText() {
  return prometheus::TextSerializer().Serialize(ProcessRegistry().Collect());
}

}  // namespace contree
