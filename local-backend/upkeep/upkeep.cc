#include "local-backend/upkeep/upkeep.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

constexpr absl::Duration kInterval = absl::Hours(24);
constexpr absl::Duration kSyncInterval = absl::Minutes(5);
// An import that failed may be tried again, and finds its layers.
constexpr absl::Duration kKeepLayers = absl::Hours(24);
// When space is short. The use of an image is noted to an hour, that of a file to a day, and both
// must have waited long enough for every request that names them.
constexpr absl::Duration kKeepImagesAtLeast = absl::Hours(2);
constexpr absl::Duration kKeepFilesAtLeast = absl::Hours(48);
constexpr int kImagesAtOnce = 32;

void Complain(absl::string_view what, const absl::Status& status) {
  if (status.ok()) return;
  LogWarning(absl::StrCat("upkeep: ", what), {{"error", std::string(status.message())}});
}

}  // namespace

Upkeep::Upkeep(const Options& options, ImageStore& images, FileStore& files,
               OperationStore& operations, DiskBudget& budget)
    : options_(options),
      images_(images),
      files_(files),
      operations_(operations),
      budget_(budget),
      thread_([this] { Loop(); }) {}

Upkeep::~Upkeep() {
  {
    const absl::MutexLock lock(&mutex_);
    ends_ = true;
  }
  thread_.join();
}

void Upkeep::Loop() {
  absl::Time next = absl::Now();
  while (true) {
    if (absl::Now() >= next) {
      RemoveOld();
      next = absl::Now() + kInterval;
    }
    Complain("uploaded files cannot be brought to the disk", files_.Sync());
    const absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&ends_), kSyncInterval)) return;
  }
}

void Upkeep::RemoveOld() {
  const absl::Time now = absl::Now();
  const absl::Time before = now - options_.keep;
  // Operations first: they lead to the images.
  const absl::StatusOr<int64_t> operations = operations_.RemoveEnded(before);
  Complain("old operations cannot be removed", operations.status());
  const absl::StatusOr<int> files = files_.RemoveUnused(before);
  Complain("unused files cannot be removed", files.status());
  Collected all;
  while (true) {
    const absl::StatusOr<Collected> collected = images_.Collect(
        {.untagged_unused_since = before, .unused_layers_before = now - kKeepLayers});
    Complain("unused images cannot be removed", collected.status());
    if (!collected.ok()) break;
    all.images += collected->images;
    all.layers += collected->layers;
    if (collected->images == 0) break;
  }
  if (operations.value_or(0) + files.value_or(0) + all.images + all.layers == 0) return;
  LogInfo("upkeep removed what was not used for long",
          {{"images", absl::StrCat(all.images)},
           {"layers", absl::StrCat(all.layers)},
           {"files", absl::StrCat(files.value_or(0))},
           {"operations", absl::StrCat(operations.value_or(0))}});
}

void Upkeep::MakeRoom() {
  images_.FinishBackgroundWork();
  const absl::StatusOr<int> files = files_.RemoveUnused(absl::Now() - kKeepFilesAtLeast);
  Complain("unused files cannot be removed", files.status());
  int images = 0;
  while (budget_.IsNearlyShort()) {
    const absl::Time now = absl::Now();
    const absl::StatusOr<Collected> collected =
        images_.Collect({.untagged_unused_since = now - kKeepImagesAtLeast,
                         .max_images = kImagesAtOnce,
                         .unused_layers_before = now});
    Complain("unused images cannot be removed", collected.status());
    if (!collected.ok() || collected->images + collected->layers == 0) break;
    images += collected->images;
    images_.FinishBackgroundWork();
  }
  LogWarning("space is short: what was not used lately was removed",
             {{"images", absl::StrCat(images)}, {"files", absl::StrCat(files.value_or(0))}});
}

}  // namespace contree
