#include "local-backend/images/image_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"
#include "local-backend/images/busybox_layer.h"
#include "local-backend/images/file_attributes.h"
#include "local-backend/images/layer_diff.h"
#include "local-backend/images/layer_names.h"
#include "local-backend/images/remove_tree.h"

namespace contree {
namespace {

constexpr char kSeedTag[] = "busybox:latest";
constexpr absl::string_view kMigrations[] = {
    R"sql(
CREATE TABLE layers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  created_at INTEGER NOT NULL          -- nanoseconds since 1970, as everywhere
);
CREATE TABLE images (
  uuid TEXT NOT NULL PRIMARY KEY,
  tag TEXT UNIQUE,                     -- NULL: none
  created_at INTEGER NOT NULL,
  operation_uuid TEXT NOT NULL,        -- '' for none
  layers TEXT NOT NULL,                -- ids of layers, topmost first, with spaces between
  environment TEXT NOT NULL            -- a JSON object
);
CREATE INDEX images_by_time ON images (created_at);
)sql",
    R"sql(
-- What an imported layer was unpacked from; NULL: a run made it.
ALTER TABLE layers ADD COLUMN source TEXT;
CREATE UNIQUE INDEX layers_by_source ON layers (source);
)sql",
    R"sql(
-- Whose it is; '*': everybody's, as the image that was there first.
ALTER TABLE images ADD COLUMN project TEXT NOT NULL DEFAULT '';
UPDATE images SET project = '*' WHERE operation_uuid = '';
CREATE TABLE tags (
  project TEXT NOT NULL,
  tag TEXT NOT NULL,
  image_uuid TEXT NOT NULL REFERENCES images (uuid) ON DELETE CASCADE,
  tagged_at INTEGER NOT NULL,
  PRIMARY KEY (project, tag)
) WITHOUT ROWID;
CREATE INDEX tags_by_image ON tags (image_uuid);
INSERT INTO tags SELECT project, tag, uuid, created_at FROM images WHERE tag IS NOT NULL;
UPDATE images SET tag = NULL;          -- not used any more
)sql",
    R"sql(
ALTER TABLE images ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;  -- made, read or run last
UPDATE images SET used_at = created_at;
CREATE INDEX images_by_use ON images (used_at);
-- What is in the directory, for the checker; NULL: was not counted.
ALTER TABLE layers ADD COLUMN entries INTEGER;
ALTER TABLE layers ADD COLUMN file_bytes INTEGER;
)sql",
};

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", path));
}

// An overlay on a file system without them can be mounted, and then fails what needs marks of its
// own, such as the removal of an image's directory. tmpfs has them since Linux 6.6.
absl::Status CheckExtendedAttributes(int directory, const std::string& path) {
  constexpr char kProbe[] = "user.contree";
  if (fsetxattr(directory, kProbe, "1", 1, 0) == 0) {
    fremovexattr(directory, kProbe);
    return absl::OkStatus();
  }
  if (errno != EOPNOTSUPP) return absl::ErrnoToStatus(errno, absl::StrCat("cannot mark ", path));
  return absl::FailedPreconditionError(absl::StrCat(
      "the file system of ", path,
      " keeps no extended attributes (user.*), which layers need; put the state directory on "
      "another, such as ext4, xfs or btrfs"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Open(const std::string& directory,
                                                             DiskBudget* budget) {
  for (const char* name : {"layers", "runs", "empty"}) {
    RETURN_IF_ERROR(MakeDirectory(absl::StrCat(directory, "/", name), 0755));
  }
  ASSIGN_OR_RETURN(auto database,
                   sqlite::Database::Open({.path = absl::StrCat(directory, "/images.db"),
                                           .migrations = kMigrations,
                                           .durability = sqlite::Durability::kFull}));
  std::unique_ptr<ImageStore> store(new ImageStore(directory, std::move(database), budget));
  store->layers_fd_.Reset(open(store->Path("layers").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!store->layers_fd_.is_open()) return absl::ErrnoToStatus(errno, "cannot open layers");
  RETURN_IF_ERROR(CheckExtendedAttributes(store->layers_fd_.get(), store->Path("layers")));
  RETURN_IF_ERROR(store->ClearLeftovers());
  return store;
}

ImageStore::ImageStore(std::string directory, std::unique_ptr<sqlite::Database> database,
                       DiskBudget* budget)
    : directory_(std::move(directory)),
      empty_directory_(absl::StrCat(directory_, "/empty")),
      database_(std::move(database)),
      budget_(budget),
      readers_(empty_directory_) {}

ImageStore::~ImageStore() { closing_ = true; }

absl::Status ImageStore::ClearLeftovers() {
  int64_t newest = 0;
  std::unordered_set<std::string> known;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(connection.Query("SELECT seq FROM sqlite_sequence WHERE name = 'layers'", {},
                                     [&](const sqlite::Row& row) { newest = row.Int(0); }));
    return connection.Query("SELECT id FROM layers", {}, [&](const sqlite::Row& row) {
      known.insert(absl::StrCat(row.Int(0)));
    });
  }));
  next_layer_ = newest + 1;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
    const std::string path = entry.path();
    if (absl::StartsWith(entry.path().filename().string(), "trash-")) RemoveInBackground(path);
  }
  // What earlier processes were running; its names must not be met again.
  for (const auto& entry : std::filesystem::directory_iterator(Path("runs"), error)) {
    Remove(entry.path());
  }
  for (const auto& entry : std::filesystem::directory_iterator(Path("layers"), error)) {
    if (!known.contains(entry.path().filename())) Remove(entry.path());
  }
  for (const std::string& id : known) {
    if (access(Path(absl::StrCat("layers/", id)).c_str(), F_OK) == 0) continue;
    LogError("a layer is not where it should be; images that need it cannot be used",
             {{"layer", id}});
  }
  return absl::OkStatus();
}

void ImageStore::Remove(const std::string& path) {
  const std::string trash = Path(absl::StrCat("trash-", NewUuidV4()));
  const bool moved = rename(path.c_str(), trash.c_str()) == 0;
  if (!moved && errno == ENOENT) return;
  RemoveInBackground(moved ? trash : path);
}

void ImageStore::RemoveInBackground(const std::string& path) {
  remover_.Add([path] {
    if (const absl::Status removed = RemoveTree(path); !removed.ok()) {
      LogWarning("something that is not needed any more cannot be removed",
                 {{"path", path}, {"error", std::string(removed.message())}});
    }
  });
}

void ImageStore::FinishBackgroundWork() {
  flattener_.Drain();
  remover_.Drain();
}

std::string ImageStore::Path(absl::string_view relative) const {
  return absl::StrCat(directory_, "/", relative);
}

std::vector<std::string> ImageStore::LayerPaths(const Image& image) const {
  std::vector<std::string> paths;
  for (const std::string& layer : image.layers) paths.push_back(Path(layer));
  return paths;
}

absl::Status ImageStore::Seed(const std::string& busybox) {
  bool is_empty = true;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query("SELECT 1 FROM images LIMIT 1", {},
                            [&](const sqlite::Row&) { is_empty = false; });
  }));
  if (!is_empty) return absl::OkStatus();
  const std::string path = Path(absl::StrCat("runs/seed-", NewUuidV4()));
  RETURN_IF_ERROR(MakeDirectory(path, 0755));
  if (absl::Status made = MakeBusyboxLayer(path, busybox); !made.ok()) {
    Remove(path);
    return made;
  }
  ASSIGN_OR_RETURN(const TreeSize size, MeasureTree(path));
  ASSIGN_OR_RETURN(const HeldLayer layer, TakeOver(path));
  return database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(InsertLayer(connection, layer.name, "", size));
    return InsertImage(connection, {.uuid = NewUuidV4(),
                                    .tag = kSeedTag,
                                    .created_at = absl::Now(),
                                    .operation_uuid = "",
                                    .layers = {layer.name},
                                    .environment = {},
                                    .project = kPublic});
  });
}

absl::StatusOr<HeldLayer> ImageStore::TakeOver(const std::string& path) {
  HeldLayer layer = {.name = absl::StrCat("layers/", next_layer_++), .lease = nullptr};
  layer.lease = use_table_.Hold({layer.name});
  if (rename(path.c_str(), Path(layer.name).c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot move ", path, " to ", Path(layer.name)));
  }
  // Overlays are mounted volatile: nothing of the layer need be on the disk yet, and the row that
  // names it will be. The new name is synced with it.
  if (syncfs(layers_fd_.get()) != 0) {
    const int error = errno;
    Remove(Path(layer.name));
    if (error == ENOSPC || error == EDQUOT) {
      return absl::ResourceExhaustedError("the disk of the state directory is full");
    }
    return absl::ErrnoToStatus(error, absl::StrCat("cannot sync the layer ", Path(layer.name)));
  }
  return layer;
}

absl::Status ImageStore::InsertLayer(sqlite::Connection& connection, const std::string& layer,
                                     const std::string& source, const TreeSize& size) {
  int64_t id;
  if (!absl::SimpleAtoi(absl::StripPrefix(layer, "layers/"), &id)) {
    return absl::InternalError(absl::StrCat(layer, " is not the name of a layer"));
  }
  return connection
      .Execute(
          "INSERT INTO layers (id, created_at, source, entries, file_bytes) VALUES (?, ?, ?, ?, ?)",
          {id, absl::ToUnixNanos(absl::Now()),
           source.empty() ? sqlite::Value(nullptr) : sqlite::Value(absl::string_view(source)),
           size.entries, size.file_bytes})
      .status();
}

absl::StatusOr<HeldLayer> ImageStore::FindLayer(const std::string& source) {
  while (true) {
    const int64_t generation = use_table_.generation();
    HeldLayer layer;
    RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
      return connection.Query("SELECT id, file_bytes FROM layers WHERE source = ?", {source},
                              [&](const sqlite::Row& row) {
                                layer.name = absl::StrCat("layers/", row.Int(0));
                                layer.file_bytes = row.IsNull(1) ? 0 : row.Int(1);
                              });
    }));
    // A row whose directory is gone is no layer.
    if (layer.name.empty() || access(Path(layer.name).c_str(), F_OK) != 0) return HeldLayer();
    absl::StatusOr<Lease> lease = use_table_.Use({layer.name}, generation);
    if (absl::IsAborted(lease.status())) continue;
    if (absl::IsNotFound(lease.status())) return HeldLayer();
    RETURN_IF_ERROR(lease.status());
    layer.lease = *std::move(lease);
    return layer;
  }
}

absl::StatusOr<HeldLayer> ImageStore::PublishLayer(const RunDirectory& run,
                                                   const std::string& source) {
  ASSIGN_OR_RETURN(HeldLayer published, FindLayer(source));
  if (!published.name.empty()) return published;
  ASSIGN_OR_RETURN(const TreeSize size, MeasureTree(run.upper));
  ASSIGN_OR_RETURN(HeldLayer layer, TakeOver(run.upper));
  layer.file_bytes = size.file_bytes;
  const absl::Status inserted = database_->Write([&](sqlite::Connection& connection)
                                                     -> absl::Status {
    // One that cannot be used, or that another import has published at this moment.
    RETURN_IF_ERROR(
        connection.Execute("UPDATE layers SET source = NULL WHERE source = ?", {source}).status());
    return InsertLayer(connection, layer.name, source, size);
  });
  if (!inserted.ok()) {
    Remove(Path(layer.name));
    return inserted;
  }
  return layer;
}

absl::Status ImageStore::PublishImage(const Image& image) {
  absl::StatusOr<Image> existing = Get(image.uuid, image.project);
  if (absl::IsNotFound(existing.status())) {
    // Two imports of one image may end at once.
    const absl::Status inserted = database_->Write(
        [&](sqlite::Connection& connection) { return InsertImage(connection, image); });
    if (!inserted.ok() && !absl::IsAlreadyExists(inserted)) return inserted;
    if (image.layers.size() > kManyLayers) {
      flattener_.Add([this, uuid = image.uuid] { FlattenInBackground(uuid); });
    }
  } else {
    RETURN_IF_ERROR(existing.status());
  }
  return image.tag.empty() ? absl::OkStatus()
                           : SetTag(image.uuid, image.tag, image.project).status();
}

absl::StatusOr<RunDirectory> ImageStore::NewRun(const Image& parent) {
  RETURN_IF_ERROR(CheckRoom());
  if (parent.layers.size() <= kManyLayers) return NewDirectories(parent.layers, parent.lease);
  // It may have fewer layers by now.
  ASSIGN_OR_RETURN(Image image, GetAnybodys(parent.uuid));
  if (image.layers.size() > kTooManyLayers) {
    RETURN_IF_ERROR(Flatten(image.uuid));
    ASSIGN_OR_RETURN(image, GetAnybodys(parent.uuid));
  }
  return NewDirectories(image.layers, image.lease);
}

absl::StatusOr<RunDirectory> ImageStore::NewLayer(const std::vector<std::string>& layers) {
  RETURN_IF_ERROR(CheckRoom());
  return NewDirectories(layers, use_table_.Hold(layers));
}

absl::StatusOr<RunDirectory> ImageStore::NewDirectories(const std::vector<std::string>& layers,
                                                        Lease lease) {
  RunDirectory run = {.path = Path(absl::StrCat("runs/", next_run_++))};
  run.upper = absl::StrCat(run.path, "/upper");
  run.work = absl::StrCat(run.path, "/work");
  run.lease = std::move(lease);
  for (const std::string& path : {run.path, run.upper, run.work}) {
    RETURN_IF_ERROR(MakeDirectory(path, 0755));
  }
  if (layers.empty()) return run;
  for (const std::string& layer : layers) run.layers.push_back(Path(layer));
  // The root of the merged tree looks as the upper directory does.
  const UniqueFd root(open(run.layers.front().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd upper(open(run.upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.is_open() || !upper.is_open()) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", run.layers.front()));
  }
  RETURN_IF_ERROR(CopyAttributes(root.get(), upper.get()));
  return run;
}

absl::StatusOr<bool> ImageStore::AddLayer(const HeldLayer& layer, const Image& parent,
                                          RunDirectory& run) {
  if (!parent.layers.empty() && parent.layers.front() == layer.name) return true;
  const std::string path = Path(layer.name);
  ASSIGN_OR_RETURN(const bool is_needed, ChangesImage(path, run.layers, empty_directory_));
  if (!is_needed) return true;
  if (std::find(run.layers.begin(), run.layers.end(), path) != run.layers.end()) return false;
  run.layers.insert(run.layers.begin(), path);
  run.added = layer;
  return true;
}

// Its name is not used again: it need not be moved first.
void ImageStore::Discard(const RunDirectory& run) { RemoveInBackground(run.path); }

absl::StatusOr<ImageStore::CommitResult> ImageStore::Commit(
    const RunDirectory& run, const Image& parent, const Environment& environment,
    const std::string& operation_uuid, int64_t max_layer_bytes, const std::string& project) {
  const absl::Cleanup discard = [&] { Discard(run); };
  ASSIGN_OR_RETURN(const LayerDiff diff,
                   CompareWithLayers(run.upper, run.layers, empty_directory_));
  const bool has_files = !run.added.name.empty();
  const int64_t bytes = run.added.file_bytes + (diff.changed ? diff.bytes : 0);
  if (std::max(bytes, diff.bytes) > max_layer_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("the command wrote ", diff.bytes, " bytes",
                                                     has_files ? " beside its files" : "",
                                                     "; max_layer_bytes allows ", max_layer_bytes));
  }
  if (!diff.changed && !has_files && environment == parent.environment)
    return CommitResult{parent.uuid, 0};
  Image image = {.uuid = NewUuidV4(),
                 .tag = "",
                 .created_at = absl::Now(),
                 .operation_uuid = operation_uuid,
                 .layers = {},
                 .environment = environment,
                 .project = project};
  HeldLayer layer;
  if (diff.changed) {
    ASSIGN_OR_RETURN(layer, TakeOver(run.upper));
  }
  const absl::Status inserted =
      database_->Write([&](sqlite::Connection& connection) -> absl::Status {
        // The parent may have been flattened meanwhile; then this stands on fewer layers too.
        image.layers = parent.layers;
        RETURN_IF_ERROR(connection.Query(
            "SELECT layers FROM images WHERE uuid = ?", {parent.uuid},
            [&](const sqlite::Row& row) { image.layers = ToLayers(row.Text(0)); }));
        if (has_files) image.layers.insert(image.layers.begin(), run.added.name);
        if (diff.changed) {
          image.layers.insert(image.layers.begin(), layer.name);
          RETURN_IF_ERROR(InsertLayer(connection, layer.name, "", diff.size));
        }
        return InsertImage(connection, image);
      });
  if (!inserted.ok()) {
    if (diff.changed) Remove(Path(layer.name));
    return inserted;
  }
  if (image.layers.size() > kManyLayers) {
    flattener_.Add([this, uuid = image.uuid] { FlattenInBackground(uuid); });
  }
  return CommitResult{image.uuid, bytes};
}

}  // namespace contree
