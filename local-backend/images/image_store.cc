#include "local-backend/images/image_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"
#include "local-backend/images/busybox_layer.h"
#include "local-backend/images/layer_diff.h"

namespace contree {
namespace {

constexpr size_t kMaxTagLength = 256;
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
};

// Twice the project; what follows sees its tags in `visible`.
constexpr char kVisibleTags[] =
    "WITH visible AS (SELECT tag, image_uuid, tagged_at FROM tags WHERE project = ?"
    " UNION ALL SELECT tag, image_uuid, tagged_at FROM tags AS everybodys WHERE project = '*'"
    " AND NOT EXISTS (SELECT 1 FROM tags AS own WHERE own.project = ? AND own.tag = "
    "everybodys.tag)) ";
constexpr char kColumns[] =
    "images.uuid, images.created_at, images.operation_uuid, images.layers, images.environment, "
    "images.project";

// kColumns, and then its tag.
Image ToImage(const sqlite::Row& row) {
  Image image;
  image.uuid = row.String(0);
  image.project = row.String(5);
  image.tag = row.IsNull(6) ? "" : row.String(6);
  image.created_at = absl::FromUnixNanos(row.Int(1));
  image.operation_uuid = row.String(2);
  for (absl::string_view id : absl::StrSplit(row.Text(3), ' ', absl::SkipEmpty())) {
    image.layers.push_back(absl::StrCat("layers/", id));
  }
  const absl::string_view text = row.Text(4);
  const auto environment = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (environment.is_object()) {
    for (const auto& [name, value] : environment.items()) {
      if (value.is_string()) image.environment[name] = value.get<std::string>();
    }
  }
  return image;
}

absl::Status NoImage(absl::string_view reference) {
  return absl::NotFoundError(absl::StrCat("there is no image ", reference));
}

absl::Status RequireImage(sqlite::Connection& connection, const std::string& uuid,
                          const std::string& project) {
  bool is_there = false;
  RETURN_IF_ERROR(connection.Query("SELECT 1 FROM images WHERE uuid = ? AND project IN (?, '*')",
                                   {uuid, project}, [&](const sqlite::Row&) { is_there = true; }));
  return is_there ? absl::OkStatus() : NoImage(uuid);
}

// Takes it from the image that has it.
absl::Status PutTag(sqlite::Connection& connection, const std::string& project,
                    const std::string& tag, const std::string& uuid) {
  return connection
      .Execute(
          "INSERT OR REPLACE INTO tags (project, tag, image_uuid, tagged_at) VALUES (?, ?, ?, ?)",
          {project, tag, uuid, absl::ToUnixNanos(absl::Now())})
      .status();
}

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", path));
}

int64_t Nanos(absl::Time time) {
  // Infinite ones saturate.
  return absl::ToUnixNanos(time);
}

bool IsTagCharacter(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == ':' || c == '/' || c == '.';
}

}  // namespace

// Deletes directory trees on a thread of its own: it takes longer than what a caller should wait.
class ImageStore::Remover {
 public:
  Remover() : thread_([this] { Loop(); }) {}
  ~Remover() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void Remove(std::string path) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      paths_.push_back(std::move(path));
    }
    changed_.notify_all();
  }

 private:
  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return ends_ || !paths_.empty(); });
      if (paths_.empty()) return;
      const std::string path = std::move(paths_.front());
      paths_.pop_front();
      lock.unlock();
      std::error_code error;
      std::filesystem::remove_all(path, error);
      if (error)
        LogWarning("cannot remove a directory", {{"path", path}, {"error", error.message()}});
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> paths_;  // guarded by mutex_
  bool ends_ = false;              // guarded by mutex_
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<ImageStore>> ImageStore::Open(const std::string& directory) {
  for (const char* name : {"layers", "runs", "empty"}) {
    RETURN_IF_ERROR(MakeDirectory(absl::StrCat(directory, "/", name), 0755));
  }
  ASSIGN_OR_RETURN(auto database,
                   sqlite::Database::Open({.path = absl::StrCat(directory, "/images.db"),
                                           .migrations = kMigrations,
                                           .durability = sqlite::Durability::kFull}));
  std::unique_ptr<ImageStore> store(new ImageStore(directory, std::move(database)));
  // What earlier processes were running; its names must not be met again.
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(store->Path("runs"), error)) {
    const std::string trash = absl::StrCat(directory, "/trash-", NewUuidV4());
    std::filesystem::rename(entry.path(), trash, error);
    store->remover_->Remove(error ? entry.path().string() : trash);
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (absl::StartsWith(entry.path().filename().string(), "trash-")) {
      store->remover_->Remove(entry.path().string());
    }
  }
  return store;
}

ImageStore::ImageStore(std::string directory, std::unique_ptr<sqlite::Database> database)
    : directory_(std::move(directory)),
      empty_directory_(absl::StrCat(directory_, "/empty")),
      database_(std::move(database)),
      remover_(std::make_unique<Remover>()) {}

ImageStore::~ImageStore() = default;

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
    remover_->Remove(path);
    return made;
  }
  ASSIGN_OR_RETURN(const std::string layer, PublishLayer(path, ""));
  return Insert({.uuid = NewUuidV4(),
                 .tag = kSeedTag,
                 .created_at = absl::Now(),
                 .operation_uuid = "",
                 .layers = {layer},
                 .environment = {},
                 .project = kPublic});
}

absl::StatusOr<std::string> ImageStore::FindLayer(const std::string& source) {
  std::string layer;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        "SELECT id FROM layers WHERE source = ?", {source},
        [&](const sqlite::Row& row) { layer = absl::StrCat("layers/", row.Int(0)); });
  }));
  // A row whose directory never came to be (the machine stopped in between) is no layer.
  if (!layer.empty() && access(Path(layer).c_str(), F_OK) != 0) return std::string();
  return layer;
}

absl::StatusOr<std::string> ImageStore::PublishLayer(const RunDirectory& run,
                                                     const std::string& source) {
  ASSIGN_OR_RETURN(const std::string published, FindLayer(source));
  if (!published.empty()) return published;
  return PublishLayer(run.upper, source);
}

absl::Status ImageStore::PublishImage(const Image& image) {
  absl::StatusOr<Image> existing = Get(image.uuid, image.project);
  if (absl::IsNotFound(existing.status())) {
    // Two imports of one image may end at once.
    const absl::Status inserted = Insert(image);
    if (!inserted.ok() && !absl::IsAlreadyExists(inserted)) return inserted;
  } else {
    RETURN_IF_ERROR(existing.status());
  }
  return image.tag.empty() ? absl::OkStatus()
                           : SetTag(image.uuid, image.tag, image.project).status();
}

absl::StatusOr<std::string> ImageStore::PublishLayer(const std::string& path,
                                                     const std::string& source) {
  {
    // Overlays are mounted volatile: nothing of the layer need be on disk yet, and the row that
    // names it will be.
    const UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.is_open() || syncfs(fd.get()) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot sync the layer ", path));
    }
  }
  std::string layer;
  RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    if (!source.empty()) {  // left by a publication that did not get to its end
      RETURN_IF_ERROR(
          connection.Execute("UPDATE layers SET source = NULL WHERE source = ?", {source})
              .status());
    }
    return connection.Query(
        "INSERT INTO layers (created_at, source) VALUES (?, ?) RETURNING id",
        {Nanos(absl::Now()),
         source.empty() ? sqlite::Value(nullptr) : sqlite::Value(absl::string_view(source))},
        [&](const sqlite::Row& row) { layer = absl::StrCat("layers/", row.Int(0)); });
  }));
  if (rename(path.c_str(), Path(layer).c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot move ", path, " to ", Path(layer)));
  }
  return layer;
}

absl::Status ImageStore::Insert(const Image& image) {
  nlohmann::json environment = nlohmann::json::object();
  for (const auto& [name, value] : image.environment) environment[name] = value;
  const std::string text =
      environment.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::vector<absl::string_view> ids;
  for (absl::string_view layer : image.layers) ids.push_back(absl::StripPrefix(layer, "layers/"));
  const std::string layers = absl::StrJoin(ids, " ");
  return database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(
        connection
            .Execute("INSERT INTO images (uuid, created_at, operation_uuid, layers, environment, "
                     "project) VALUES (?, ?, ?, ?, ?, ?)",
                     {image.uuid, Nanos(image.created_at), image.operation_uuid, layers, text,
                      image.project})
            .status());
    if (image.tag.empty()) return absl::OkStatus();
    return PutTag(connection, image.project, image.tag, image.uuid);
  });
}

absl::StatusOr<Image> ImageStore::Get(const std::string& uuid, const std::string& project) {
  std::optional<Image> image;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(absl::StrCat(kVisibleTags, "SELECT ", kColumns,
                                         ", (SELECT tag FROM visible WHERE image_uuid = uuid"
                                         " ORDER BY tagged_at DESC, tag LIMIT 1)"
                                         " FROM images WHERE uuid = ? AND project IN (?, '*')"),
                            {project, project, uuid, project},
                            [&](const sqlite::Row& row) { image = ToImage(row); });
  }));
  if (!image.has_value()) return NoImage(uuid);
  return *std::move(image);
}

absl::StatusOr<Image> ImageStore::Resolve(const std::string& reference,
                                          const std::string& project) {
  if (reference.empty())
    return absl::InvalidArgumentError("an image is required: a UUID or tag:NAME");
  if (!absl::StartsWith(reference, "tag:")) return Get(reference, project);
  const std::string tag = reference.substr(4);
  std::optional<Image> image;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(absl::StrCat(kVisibleTags, "SELECT ", kColumns, ", visible.tag",
                                         " FROM visible JOIN images ON images.uuid = image_uuid"
                                         " WHERE visible.tag = ? AND images.project IN (?, '*')"),
                            {project, project, tag, project},
                            [&](const sqlite::Row& row) { image = ToImage(row); });
  }));
  if (!image.has_value()) return NoImage(reference);
  return *std::move(image);
}

absl::StatusOr<std::vector<Image>> ImageStore::List(const ImageFilter& filter) {
  std::vector<Image> images;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        absl::StrCat(kVisibleTags, "SELECT ", kColumns, ", visible.tag",
                     " FROM images LEFT JOIN visible ON image_uuid = images.uuid"
                     " WHERE images.project IN (?, '*') AND created_at >= ? AND created_at <= ?"
                     " AND substr(uuid, 1, length(?)) = ? AND (? = 0 OR visible.tag IS NOT NULL)"
                     " AND (? = '' OR substr(visible.tag, 1, length(?)) = ?)"
                     " ORDER BY visible.tag IS NOT ?, created_at DESC, images.rowid DESC,"
                     " visible.tag LIMIT ? OFFSET ?"),
        {filter.project, filter.project, filter.project, Nanos(filter.since), Nanos(filter.until),
         filter.uuid_prefix, filter.uuid_prefix, int64_t{filter.tagged}, filter.tag_prefix,
         filter.tag_prefix, filter.tag_prefix, filter.tag_prefix, int64_t{filter.limit},
         int64_t{filter.offset}},
        [&](const sqlite::Row& row) { images.push_back(ToImage(row)); });
  }));
  return images;
}

absl::StatusOr<Image> ImageStore::SetTag(const std::string& uuid, const std::string& tag,
                                         const std::string& project) {
  if (!IsTag(tag)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", tag, "\" is not a tag: letters, digits, _ and -, with : / . between them, at most ",
        kMaxTagLength, " characters"));
  }
  RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(RequireImage(connection, uuid, project));
    return PutTag(connection, project, tag, uuid);
  }));
  return Get(uuid, project);
}

absl::Status ImageStore::RemoveTag(const std::string& uuid, const std::string& tag,
                                   const std::string& project) {
  return database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(RequireImage(connection, uuid, project));
    ASSIGN_OR_RETURN(
        const int64_t removed,
        connection.Execute(
            "DELETE FROM tags WHERE project = ? AND image_uuid = ? AND (? = '' OR tag = ?)",
            {project, uuid, tag, tag}));
    if (removed > 0 || tag.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("the image ", uuid, " does not have the tag ", tag, " of yours"));
  });
}

absl::StatusOr<RunDirectory> ImageStore::NewRun(const Image& parent) {
  return NewLayer(parent.layers);
}

absl::StatusOr<RunDirectory> ImageStore::NewLayer(const std::vector<std::string>& layers) {
  RunDirectory run = {.path = Path(absl::StrCat("runs/", next_run_++)), .upper = "", .work = ""};
  run.upper = absl::StrCat(run.path, "/upper");
  run.work = absl::StrCat(run.path, "/work");
  for (const std::string& path : {run.path, run.upper, run.work}) {
    RETURN_IF_ERROR(MakeDirectory(path, 0755));
  }
  if (layers.empty()) return run;
  // The root of the merged tree looks as the upper directory does.
  struct stat root;
  if (stat(Path(layers.front()).c_str(), &root) != 0 ||
      chown(run.upper.c_str(), root.st_uid, root.st_gid) != 0 ||
      chmod(run.upper.c_str(), root.st_mode & 07777) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("cannot make ", run.upper, " like the root of its image"));
  }
  return run;
}

void ImageStore::Discard(const RunDirectory& run) { remover_->Remove(run.path); }

absl::StatusOr<ImageStore::CommitResult> ImageStore::Commit(
    const RunDirectory& run, const Image& parent, const Environment& environment,
    const std::string& operation_uuid, int64_t max_layer_bytes, const std::string& project) {
  const absl::StatusOr<LayerDiff> diff =
      CompareWithLayers(run.upper, LayerPaths(parent), empty_directory_);
  if (!diff.ok() || diff->bytes > max_layer_bytes) {
    Discard(run);
    if (!diff.ok()) return diff.status();
    return absl::ResourceExhaustedError(absl::StrCat(
        "the command wrote ", diff->bytes, " bytes; max_layer_bytes allows ", max_layer_bytes));
  }
  Image image = {.uuid = NewUuidV4(),
                 .tag = "",
                 .created_at = absl::Now(),
                 .operation_uuid = operation_uuid,
                 .layers = parent.layers,
                 .environment = environment,
                 .project = project};
  if (diff->changed) {
    absl::StatusOr<std::string> layer = PublishLayer(run.upper, "");
    Discard(run);
    if (!layer.ok()) return layer.status();
    image.layers.insert(image.layers.begin(), *layer);
  } else {
    Discard(run);
    if (environment == parent.environment) return CommitResult{parent.uuid, 0};
  }
  RETURN_IF_ERROR(Insert(image));
  return CommitResult{image.uuid, diff->changed ? diff->bytes : 0};
}

bool IsTagPrefix(absl::string_view prefix) {
  if (prefix.empty() || prefix.size() > kMaxTagLength) return false;
  for (const char c : prefix) {
    if (!IsTagCharacter(c)) return false;
  }
  return absl::ascii_isalnum(prefix.front()) || prefix.front() == '_' || prefix.front() == '-';
}

bool IsTag(absl::string_view tag) {
  return IsTagPrefix(tag) && tag.back() != ':' && tag.back() != '/' && tag.back() != '.';
}

}  // namespace contree
