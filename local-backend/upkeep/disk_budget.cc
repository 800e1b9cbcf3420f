#include "local-backend/upkeep/disk_budget.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/telemetry/logging.h"
#include "local-backend/images/tree_size.h"

namespace contree {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(100);
constexpr absl::Duration kMakeRoomInterval = absl::Seconds(10);
// Measuring takes no more than this part of one CPU.
constexpr int kMeasureShare = 20;
constexpr absl::Duration kMeasureInterval = absl::Seconds(2);
// Who wrote less than this is not why the space runs out.
constexpr int64_t kInnocent = 1 << 20;

}  // namespace

DiskBudget::DiskBudget(const Options& options)
    : options_(options), follower_([this] { Follow(); }) {}

DiskBudget::~DiskBudget() {
  {
    const absl::MutexLock lock(&mutex_);
    ends_ = true;
  }
  follower_.join();
}

int64_t DiskBudget::FreeBytes() const {
  struct statvfs disk;
  // Where it cannot be told, it is not this that refuses.
  if (statvfs(options_.directory.c_str(), &disk) != 0) return INT64_MAX;
  return static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
}

void DiskBudget::Measure() {
  const absl::MutexLock one(&measuring_);
  const absl::Time begin = absl::Now();
  const int64_t free = FreeBytes();
  const absl::StatusOr<TreeSize> size = MeasureTree(options_.directory);
  if (!size.ok()) LogWarning("cannot measure", {{"error", std::string(size.status().message())}});
  const absl::MutexLock lock(&mutex_);
  used_ = size.ok() ? size->disk_bytes : std::max<int64_t>(used_, 0);
  free_then_ = free;
  measured_at_ = absl::Now();
  measuring_took_ = measured_at_ - begin;
}

int64_t DiskBudget::UsedBytes(int64_t free, int64_t wanted) {
  const auto estimate = [&] {
    const absl::MutexLock lock(&mutex_);
    if (used_ < 0) return std::pair(int64_t{0}, true);
    const int64_t grown = std::max<int64_t>(0, free_then_ - free);
    const absl::Duration age = absl::Now() - measured_at_;
    // What the disk lost may be somebody else's: nobody is refused for that without another look.
    if (used_ + grown + wanted > options_.quota) {
      return std::pair(used_ + grown, age > 2 * measuring_took_ + absl::Milliseconds(5));
    }
    const bool doubtful = grown > (options_.quota - used_) / 2 || age > kMeasureInterval;
    return std::pair(used_ + grown, doubtful && age > measuring_took_ * kMeasureShare);
  };
  auto [used, measure] = estimate();
  if (measure) {
    Measure();
    used = estimate().first;
  }
  return used;
}

DiskBudget::Shortage DiskBudget::Look(int64_t wanted) {
  const int64_t free = FreeBytes();
  if (free - wanted < options_.reserve) {
    return {.exists = true,
            .what = absl::StrCat(
                "the disk of the state directory is nearly full: ", BytesInWords(free),
                " are free, and --disk-reserve keeps ", BytesInWords(options_.reserve))};
  }
  if (options_.quota == 0) return {};
  const int64_t used = UsedBytes(free, wanted);
  if (used + wanted <= options_.quota) return {};
  return {.exists = true,
          .what = absl::StrCat("the disk quota is used up: images, files and runs take ",
                               BytesInWords(used), " of the ", BytesInWords(options_.quota),
                               " that --disk-quota allows")};
}

void DiskBudget::TryToMakeRoom() {
  {
    const absl::MutexLock lock(&mutex_);
    if (absl::Now() - room_made_at_ < kMakeRoomInterval) return;
    room_made_at_ = absl::Now();
  }
  if (!make_room_) return;
  make_room_();
  if (options_.quota > 0) Measure();
}

absl::Status DiskBudget::CheckRoom(int64_t bytes) {
  Shortage shortage = Look(bytes);
  if (shortage.exists) {
    TryToMakeRoom();
    shortage = Look(bytes);
  }
  if (!shortage.exists) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      shortage.what,
      "; take the tags off images that are not needed (those without a tag are removed when space "
      "is short), free some of the disk, or give the backend more"));
}

bool DiskBudget::IsNearlyShort() {
  if (options_.quota > 0) Measure();
  return Look(0).exists || FreeBytes() < options_.reserve + options_.reserve / 2 ||
         (options_.quota > 0 && Look(options_.quota / 10).exists);
}

std::unique_ptr<DiskBudget::Watch> DiskBudget::Begin(std::string directory,
                                                     std::function<void()> stop) {
  std::unique_ptr<Watch> watch(new Watch(*this, std::move(directory), std::move(stop)));
  const absl::MutexLock lock(&mutex_);
  watches_.insert(watch.get());
  return watch;
}

DiskBudget::Watch::~Watch() {
  const absl::MutexLock lock(&budget_.mutex_);
  budget_.watches_.erase(this);
  // What one that was stopped had written is gone by now: the next who asks is not judged by it.
  if (!status_.ok()) budget_.measured_at_ = absl::InfinitePast();
}

absl::Status DiskBudget::Watch::status() const {
  const absl::MutexLock lock(&budget_.mutex_);
  return status_;
}

void DiskBudget::Follow() {
  while (true) {
    {
      const absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &DiskBudget::IsWatching));
      // Most runs are over before the first look.
      if (mutex_.AwaitWithTimeout(absl::Condition(&ends_), kLookInterval)) return;
    }
    Shortage shortage = Look(0);
    if (shortage.exists) {
      TryToMakeRoom();
      shortage = Look(0);
    }
    if (shortage.exists) StopTheLargest(shortage.what);
  }
}

void DiskBudget::StopTheLargest(const std::string& reason) {
  std::vector<std::string> directories;
  {
    const absl::MutexLock lock(&mutex_);
    for (const Watch* watch : watches_) {
      if (!watch->status_.ok()) return;  // what that one took comes free in a moment
      directories.push_back(watch->directory_);
    }
  }
  std::string largest;
  int64_t most = kInnocent;
  for (const std::string& directory : directories) {
    const int64_t bytes = MeasureTree(directory).value_or(TreeSize{}).disk_bytes;
    if (bytes < most) continue;
    most = bytes;
    largest = directory;
  }
  const absl::MutexLock lock(&mutex_);
  for (Watch* watch : watches_) {
    if (watch->directory_ != largest) continue;
    watch->status_ = absl::ResourceExhaustedError(absl::StrCat(
        reason, "; this was stopped because it had written ", BytesInWords(most),
        ", more than all else that runs. Write less, remove what is not needed, or give the "
        "backend more space"));
    watch->stop_();
    return;
  }
}

std::string BytesInWords(int64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? absl::StrCat(bytes, " bytes")
                   : absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

}  // namespace contree
