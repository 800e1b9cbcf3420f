// The part of ImageStore that works on layers that are there: flattens, collects, checks.

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "local-backend/images/image_store.h"
#include "local-backend/images/layer_merge.h"
#include "local-backend/images/layer_names.h"

namespace contree {
namespace {

// Layers of imports that stay as they are, for other images to share, when an image is flattened.
constexpr size_t kMaxSharedLayers = 16;

}  // namespace

void ImageStore::FlattenInBackground(const std::string& uuid) {
  if (closing_) return;
  absl::Status flattened = Flatten(uuid);
  if (absl::IsNotFound(flattened)) return;
  // The layers that no image needs now.
  if (flattened.ok()) flattened = Collect({}).status();
  if (flattened.ok()) return;
  LogWarning("the layers of an image cannot be made fewer",
             {{"image", uuid}, {"error", std::string(flattened.message())}});
}

absl::Status ImageStore::Flatten(const std::string& uuid) {
  const absl::MutexLock lock(&flattening_);
  ASSIGN_OR_RETURN(const Image image, GetAnybodys(uuid));
  if (image.layers.size() <= kManyLayers) return absl::OkStatus();
  // All but its own layer, so that what else stands on the same ones gains as well.
  const std::vector<std::string> stack(image.layers.begin() + 1, image.layers.end());
  ASSIGN_OR_RETURN(const size_t shared, CountSharedLayers(stack));
  const auto end_of_merged = stack.end() - static_cast<std::ptrdiff_t>(shared);
  const std::vector<std::string> merged(stack.begin(), end_of_merged);
  if (merged.size() < 2) return absl::OkStatus();
  // Without asking for room: it takes next to none, and who makes room waits for this.
  ASSIGN_OR_RETURN(const RunDirectory run, NewDirectories(merged, image.lease));
  const absl::Cleanup discard = [&] { Discard(run); };
  RETURN_IF_ERROR(MergeLayers(run.layers, run.upper));
  ASSIGN_OR_RETURN(const TreeSize size, MeasureTree(run.upper));
  ASSIGN_OR_RETURN(const HeldLayer layer, TakeOver(run.upper));
  std::vector<std::string> fewer = {layer.name};
  fewer.insert(fewer.end(), end_of_merged, stack.end());
  if (const absl::Status replaced = ReplaceLayers(stack, fewer, size); !replaced.ok()) {
    Remove(Path(layer.name));
    return replaced;
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ImageStore::CountSharedLayers(const std::vector<std::string>& stack) {
  std::unordered_set<std::string> imported;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        "SELECT id FROM layers WHERE source IS NOT NULL", {},
        [&](const sqlite::Row& row) { imported.insert(absl::StrCat("layers/", row.Int(0))); });
  }));
  size_t shared = 0;
  while (shared < stack.size() && shared < kMaxSharedLayers &&
         imported.contains(stack[stack.size() - 1 - shared])) {
    ++shared;
  }
  return std::max<size_t>(shared, 1);
}

absl::Status ImageStore::ReplaceLayers(const std::vector<std::string>& old_layers,
                                       const std::vector<std::string>& new_layers,
                                       const TreeSize& size) {
  const std::string before = LayersAsText(old_layers);
  const std::string after = LayersAsText(new_layers);
  return database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(InsertLayer(connection, new_layers.front(), "", size));
    return connection
        .Execute(
            "UPDATE images SET layers = substr(layers, 1, length(layers) - ?) || ? "
            "WHERE layers = ? OR layers LIKE '% ' || ?",
            {static_cast<int64_t>(before.size()), after, before, before})
        .status();
  });
}

absl::StatusOr<Collected> ImageStore::Collect(const CollectOptions& options) {
  // Nobody needs what is held only because somebody may look again.
  readers_.Clear();
  std::vector<UseTable::Removal> removals;  // until the directories are out of the way
  RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    std::vector<std::string> unwanted;
    RETURN_IF_ERROR(connection.Query(
        "SELECT uuid FROM images WHERE used_at < ? AND project <> '*' AND NOT EXISTS "
        "(SELECT 1 FROM tags WHERE image_uuid = uuid) ORDER BY used_at LIMIT ?",
        {absl::ToUnixNanos(options.untagged_unused_since), int64_t{options.max_images}},
        [&](const sqlite::Row& row) { unwanted.push_back(row.String(0)); }));
    removals.push_back(use_table_.BeginRemoval(unwanted));
    for (const std::string& uuid : removals[0].names()) {
      RETURN_IF_ERROR(connection.Execute("DELETE FROM images WHERE uuid = ?", {uuid}).status());
    }
    std::unordered_set<std::string> needed;
    RETURN_IF_ERROR(connection.Query("SELECT layers FROM images", {}, [&](const sqlite::Row& row) {
      for (std::string& layer : ToLayers(row.Text(0))) needed.insert(std::move(layer));
    }));
    std::vector<std::string> unneeded;
    RETURN_IF_ERROR(connection.Query("SELECT id FROM layers WHERE source IS NULL OR created_at < ?",
                                     {absl::ToUnixNanos(options.unused_layers_before)},
                                     [&](const sqlite::Row& row) {
                                       std::string layer = absl::StrCat("layers/", row.Int(0));
                                       if (!needed.contains(layer)) {
                                         unneeded.push_back(std::move(layer));
                                       }
                                     }));
    removals.push_back(use_table_.BeginRemoval(unneeded));
    for (const std::string& layer : removals[1].names()) {
      RETURN_IF_ERROR(
          connection
              .Execute("DELETE FROM layers WHERE id = ?", {absl::StripPrefix(layer, "layers/")})
              .status());
    }
    return absl::OkStatus();
  }));
  for (const std::string& layer : removals[1].names()) Remove(Path(layer));
  return Collected{.images = static_cast<int>(removals[0].names().size()),
                   .layers = static_cast<int>(removals[1].names().size())};
}

absl::StatusOr<std::vector<std::string>> ImageStore::Check() {
  std::vector<std::string> complaints;
  struct Recorded {
    std::string name;
    std::optional<TreeSize> size;
  };
  std::vector<Recorded> layers;
  std::unordered_set<std::string> known;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(connection.Query("PRAGMA integrity_check", {}, [&](const sqlite::Row& row) {
      if (row.Text(0) != "ok") complaints.push_back(absl::StrCat("images.db: ", row.Text(0)));
    }));
    RETURN_IF_ERROR(connection.Query(
        "SELECT id, entries, file_bytes FROM layers", {}, [&](const sqlite::Row& row) {
          Recorded layer = {.name = absl::StrCat("layers/", row.Int(0)), .size = std::nullopt};
          if (!row.IsNull(1)) layer.size = {.entries = row.Int(1), .file_bytes = row.Int(2)};
          known.insert(layer.name);
          layers.push_back(std::move(layer));
        }));
    return connection.Query("SELECT uuid, layers FROM images", {}, [&](const sqlite::Row& row) {
      const std::vector<std::string> needed = ToLayers(row.Text(1));
      if (needed.empty()) complaints.push_back(absl::StrCat("image ", row.Text(0), " is empty"));
      for (const std::string& layer : needed) {
        if (known.contains(layer)) continue;
        complaints.push_back(absl::StrCat("image ", row.Text(0), " needs ", layer, ", unknown"));
      }
    });
  }));
  for (const Recorded& layer : layers) {
    const absl::StatusOr<TreeSize> size = MeasureTree(Path(layer.name));
    if (!size.ok()) {
      complaints.push_back(absl::StrCat(layer.name, ": ", size.status().message()));
    } else if (layer.size.has_value() && (size->entries != layer.size->entries ||
                                          size->file_bytes != layer.size->file_bytes)) {
      complaints.push_back(absl::StrCat(layer.name, " has ", size->entries, " entries with ",
                                        size->file_bytes, " bytes; it was made with ",
                                        layer.size->entries, " and ", layer.size->file_bytes));
    }
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(Path("layers"), error)) {
    const std::string name = absl::StrCat("layers/", entry.path().filename().string());
    if (!known.contains(name)) complaints.push_back(absl::StrCat(name, " belongs to nothing"));
  }
  for (const auto& entry : std::filesystem::directory_iterator(Path("runs"), error)) {
    complaints.push_back(absl::StrCat("runs/", entry.path().filename().string(), " was left"));
  }
  return complaints;
}

}  // namespace contree
