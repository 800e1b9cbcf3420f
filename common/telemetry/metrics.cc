#include "common/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <map>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"

namespace contree {
namespace {

constexpr char kOther[] = "other";
// As many as any metric here has.
constexpr size_t kMaxLabels = 4;

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

size_t HashOf(absl::Span<const absl::string_view> values) {
  size_t hash = values.size();
  for (const absl::string_view value : values)
    hash = hash * 31 + absl::Hash<absl::string_view>()(value);
  return hash ^ (hash >> 29);
}

// Entries by lists of strings, found without a lock; none is ever taken out.
template <typename Value>
class GrowingTable {
 public:
  // nullptr: there is none.
  Value* Find(absl::Span<const absl::string_view> key, size_t hash) const {
    const Node* node = heads_[hash % kHeads].load(std::memory_order_acquire);
    while (node != nullptr && !(node->hash == hash && IsSame(*node, key))) node = node->next;
    return node == nullptr ? nullptr : node->value;
  }
  // One caller at a time; there must be none of that key yet.
  void Insert(absl::Span<const absl::string_view> key, size_t hash, Value* value) {
    std::atomic<const Node*>& head = heads_[hash % kHeads];
    auto node = std::make_unique<Node>();
    node->hash = hash;
    for (const absl::string_view part : key) node->key.emplace_back(part);
    node->value = value;
    node->next = head.load(std::memory_order_relaxed);
    head.store(node.get(), std::memory_order_release);
    nodes_.push_back(std::move(node));
  }
  size_t size() const { return nodes_.size(); }  // for the one that inserts

 private:
  static constexpr size_t kHeads = 2048;

  struct Node {
    size_t hash;
    std::vector<std::string> key;
    Value* value;
    const Node* next;
  };

  static bool IsSame(const Node& node, absl::Span<const absl::string_view> key) {
    return std::equal(node.key.begin(), node.key.end(), key.begin(), key.end());
  }

  std::array<std::atomic<const Node*>, kHeads> heads_ = {};
  std::vector<std::unique_ptr<Node>> nodes_;
};

// The tenant, or "other" for one that came after kMaxTenants others.
absl::string_view BoundedTenant(absl::string_view tenant) {
  struct Tenants {
    absl::Mutex mutex;
    GrowingTable<const char> known;
    std::atomic<bool> are_full = false;
  };
  static auto& tenants = *new Tenants;
  const absl::Span<const absl::string_view> key(&tenant, 1);
  const size_t hash = HashOf(key);
  static constexpr char kKnown = 0;
  if (tenants.known.Find(key, hash) != nullptr) return tenant;
  if (tenants.are_full.load(std::memory_order_relaxed)) return kOther;
  absl::MutexLock lock(&tenants.mutex);
  if (tenants.known.Find(key, hash) != nullptr) return tenant;
  if (tenants.known.size() >= kMaxTenants) {
    tenants.are_full = true;
    return kOther;
  }
  tenants.known.Insert(key, hash, &kKnown);
  return tenant;
}

// The series of one metric by the values of its labels.
template <typename Metric>
class SeriesTable {
 public:
  SeriesTable(prometheus::Family<Metric>& family, LabelNames names)
      : family_(family), names_(std::move(names)) {
    names_.resize(std::min(names_.size(), kMaxLabels));
    tenant_ = static_cast<size_t>(
        std::distance(names_.begin(), std::find(names_.begin(), names_.end(), "tenant")));
  }

  template <typename... Arguments>
  Metric& Find(LabelValues given, const Arguments&... arguments) {
    std::array<absl::string_view, kMaxLabels> storage;
    std::copy_n(given.begin(), std::min(given.size(), names_.size()), storage.begin());
    const absl::Span<absl::string_view> values(storage.data(), names_.size());
    if (tenant_ < values.size()) values[tenant_] = BoundedTenant(values[tenant_]);
    size_t hash = HashOf(values);
    if (Metric* const known = series_.Find(values, hash); known != nullptr) return *known;
    absl::MutexLock lock(&mutex_);
    if (series_.size() >= kMaxSeries && tenant_ < values.size()) values[tenant_] = kOther;
    if (series_.size() >= (tenant_ < values.size() ? 2 * kMaxSeries : kMaxSeries))
      std::fill(values.begin(), values.end(), kOther);
    hash = HashOf(values);
    if (Metric* const known = series_.Find(values, hash); known != nullptr) return *known;
    std::map<std::string, std::string> labels;
    for (size_t i = 0; i < names_.size(); ++i) labels[names_[i]] = std::string(values[i]);
    Metric& metric = family_.Add(labels, arguments...);
    series_.Insert(values, hash, &metric);
    return metric;
  }

 private:
  prometheus::Family<Metric>& family_;
  LabelNames names_;
  size_t tenant_;      // its place among the names; their number: there is none
  absl::Mutex mutex_;  // of those who add a series
  GrowingTable<Metric> series_;
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
