#include "local-backend/files/file_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/uuid/uuid.h"

namespace contree {
namespace {

constexpr size_t kHeldBytes = 256 * 1024;
constexpr size_t kReadSize = 128 * 1024;
// Use is noted this coarsely: a run of ten thousand files should not write ten thousand rows.
constexpr absl::Duration kUseGrain = absl::Hours(24);

constexpr absl::string_view kMigrations[] = {
    R"sql(
CREATE TABLE files (
  uuid TEXT NOT NULL PRIMARY KEY,
  project TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL,         -- nanoseconds since 1970, as everywhere
  updated_at INTEGER NOT NULL,         -- uploaded last
  used_at INTEGER NOT NULL,            -- uploaded or attached last, to a day
  is_synced INTEGER NOT NULL           -- the bytes are on the disk for sure
);
CREATE UNIQUE INDEX files_by_content ON files (sha256, project);
CREATE INDEX files_by_time ON files (project, created_at);
CREATE INDEX files_not_synced ON files (is_synced) WHERE is_synced = 0;
)sql",
};

constexpr char kColumns[] = "uuid, sha256, size, created_at, updated_at";

StoredFile ToFile(const sqlite::Row& row) {
  return {.uuid = row.String(0),
          .sha256 = row.String(1),
          .size = row.Int(2),
          .created_at = absl::FromUnixNanos(row.Int(3)),
          .updated_at = absl::FromUnixNanos(row.Int(4))};
}

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      if (errno == ENOSPC || errno == EDQUOT) {
        return absl::ResourceExhaustedError("the disk of the state directory is full");
      }
      return absl::ErrnoToStatus(errno, "cannot write an uploaded file");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", path));
}

// The hash of what the file holds; empty: it cannot be read.
std::string HashOf(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open()) return "";
  Sha256 hash;
  std::string buffer(kReadSize, '\0');
  ssize_t got;
  while ((got = read(fd.get(), buffer.data(), buffer.size())) > 0) {
    hash.Update(absl::string_view(buffer.data(), static_cast<size_t>(got)));
  }
  return got < 0 ? "" : hash.FinishHex();
}

}  // namespace

FileStore::FileStore(std::string directory, std::unique_ptr<sqlite::Database> database,
                     DiskBudget* budget)
    : directory_(std::move(directory)), database_(std::move(database)), budget_(budget) {}

absl::StatusOr<std::unique_ptr<FileStore>> FileStore::Open(const std::string& directory,
                                                           DiskBudget* budget) {
  const std::string files = absl::StrCat(directory, "/files");
  const std::string incoming = absl::StrCat(files, "/incoming");
  RETURN_IF_ERROR(MakeDirectory(files));
  RETURN_IF_ERROR(MakeDirectory(incoming));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(incoming, error)) {
    std::filesystem::remove(entry.path(), error);
  }
  ASSIGN_OR_RETURN(auto database,
                   sqlite::Database::Open(
                       {.path = absl::StrCat(directory, "/files.db"), .migrations = kMigrations}));
  std::unique_ptr<FileStore> store(new FileStore(files, std::move(database), budget));
  RETURN_IF_ERROR(store->CheckUnsynced());
  ASSIGN_OR_RETURN(const std::vector<std::string> strays, store->StrayBytes());
  RETURN_IF_ERROR(store->RemoveBytes(strays));
  return store;
}

std::string FileStore::Path(absl::string_view sha256) const {
  return absl::StrCat(directory_, "/", sha256.substr(0, 2), "/", sha256);
}

absl::Status FileStore::CheckUnsynced() {
  std::vector<std::pair<std::string, std::string>> doubtful;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        "SELECT uuid, sha256 FROM files WHERE is_synced = 0", {},
        [&](const sqlite::Row& row) { doubtful.emplace_back(row.String(0), row.String(1)); });
  }));
  for (const auto& [uuid, sha256] : doubtful) {
    if (HashOf(Path(sha256)) == sha256) continue;
    LogWarning("an uploaded file did not survive the last stop; it is to be uploaded again",
               {{"file", uuid}, {"sha256", sha256}});
    RETURN_IF_ERROR(database_->Write([&, &hash = sha256](sqlite::Connection& connection) {
      unlink(Path(hash).c_str());
      return connection.Execute("DELETE FROM files WHERE sha256 = ?", {hash}).status();
    }));
  }
  return doubtful.empty() ? absl::OkStatus() : Sync();
}

absl::Status FileStore::Sync() {
  std::vector<std::string> written;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query("SELECT uuid FROM files WHERE is_synced = 0", {},
                            [&](const sqlite::Row& row) { written.push_back(row.String(0)); });
  }));
  if (written.empty()) return absl::OkStatus();
  const UniqueFd fd(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open() || syncfs(fd.get()) != 0) {
    return absl::ErrnoToStatus(errno, "cannot sync the uploaded files");
  }
  const std::string uuids = nlohmann::json(written).dump();
  return database_->Write([&](sqlite::Connection& connection) {
    return connection
        .Execute("UPDATE files SET is_synced = 1 WHERE uuid IN (SELECT value FROM json_each(?))",
                 {uuids})
        .status();
  });
}

FileStore::Upload::Upload(Upload&& other) noexcept
    : store_(other.store_),
      hash_(std::move(other.hash_)),
      size_(other.size_),
      held_(std::move(other.held_)),
      path_(std::exchange(other.path_, "")),
      file_(std::move(other.file_)) {}

FileStore::Upload::~Upload() {
  if (!path_.empty()) unlink(path_.c_str());
}

absl::Status FileStore::Upload::Append(absl::string_view bytes) {
  hash_.Update(bytes);
  size_ += static_cast<int64_t>(bytes.size());
  held_.append(bytes.data(), bytes.size());
  return held_.size() > kHeldBytes ? Spill() : absl::OkStatus();
}

absl::Status FileStore::Upload::CheckRoom() const {
  if (store_.budget_ == nullptr) return absl::OkStatus();
  return store_.budget_->CheckRoom(static_cast<int64_t>(held_.size()));
}

absl::Status FileStore::Upload::Spill() {
  RETURN_IF_ERROR(CheckRoom());
  if (!file_.is_open()) {
    const std::string path = absl::StrCat(store_.directory_, "/incoming/", store_.next_upload_++);
    file_.Reset(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file_.is_open()) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the file ", path));
    }
    path_ = path;
  }
  RETURN_IF_ERROR(WriteAll(file_.get(), held_));
  held_.clear();
  return absl::OkStatus();
}

absl::StatusOr<StoredFile> FileStore::Upload::Finish(const std::string& project) {
  const std::string sha256 = hash_.FinishHex();
  if (const absl::Status room = path_.empty() ? CheckRoom() : Spill(); !room.ok()) {
    absl::StatusOr<StoredFile> known = store_.Touch(project, sha256);  // which needs no room
    if (known.ok()) return known;
    return room;
  }
  file_.Reset();
  const std::string path = store_.Path(sha256);
  RETURN_IF_ERROR(MakeDirectory(path.substr(0, path.rfind('/'))));
  const absl::Time now = absl::Now();
  // Names in the order of time: rows of one time lie in few pages of their index.
  Publication publication = {.file = {.uuid = NewUuidV7(now),
                                      .sha256 = sha256,
                                      .size = size_,
                                      .created_at = now,
                                      .updated_at = now},
                             .project = project,
                             .path = std::exchange(path_, ""),
                             .content = std::move(held_)};
  const absl::Status published = store_.Publish(publication);
  path_ = std::move(publication.path);
  RETURN_IF_ERROR(published);
  return std::move(publication.file);
}

absl::Status FileStore::Publish(Publication& publication) {
  std::vector<Publication*> batch;
  {
    const absl::MutexLock lock(&publishing_);
    to_publish_.push_back(&publication);
    const auto is_my_turn = [&]() ABSL_SHARED_LOCKS_REQUIRED(publishing_) {
      return publication.is_done || !somebody_publishes_;
    };
    publishing_.Await(absl::Condition(&is_my_turn));
    if (publication.is_done) return publication.status;
    somebody_publishes_ = true;
    batch.swap(to_publish_);
  }
  // The rows and the bytes come and go in one writing transaction: no removal comes between.
  const absl::Status written = database_->Write([&](sqlite::Connection& connection) {
    for (Publication* one : batch) one->status = PublishOne(connection, *one);
    return absl::OkStatus();
  });
  const absl::MutexLock lock(&publishing_);
  somebody_publishes_ = false;
  for (Publication* one : batch) {
    if (!written.ok()) one->status = written;
    one->is_done = true;
  }
  return publication.status;
}

absl::Status FileStore::PublishOne(sqlite::Connection& connection, Publication& publication) {
  StoredFile& file = publication.file;
  const std::string path = Path(file.sha256);
  const int64_t nanos = absl::ToUnixNanos(file.created_at);
  ASSIGN_OR_RETURN(
      const int64_t rows,
      connection.Execute(
          "INSERT INTO files (uuid, project, sha256, size, created_at, updated_at, "
          "used_at, is_synced) VALUES (?, ?, ?, ?, ?, ?, ?, 0) "
          "ON CONFLICT (sha256, project) DO NOTHING",
          {file.uuid, publication.project, file.sha256, file.size, nanos, nanos, nanos}));
  if (rows == 0) return FindAgain(connection, publication);
  const absl::Status placed = Place(publication, path);
  if (placed.ok()) return absl::OkStatus();
  // The others of the transaction are to stay.
  RETURN_IF_ERROR(connection.Execute("DELETE FROM files WHERE uuid = ?", {file.uuid}).status());
  return placed;
}

absl::Status FileStore::FindAgain(sqlite::Connection& connection, Publication& publication) {
  StoredFile& file = publication.file;
  const int64_t nanos = absl::ToUnixNanos(file.updated_at);
  return connection.Query(
      "UPDATE files SET updated_at = ?, used_at = ? WHERE sha256 = ? AND project = ? "
      "RETURNING uuid, created_at",
      {nanos, nanos, file.sha256, publication.project}, [&file](const sqlite::Row& row) {
        file.uuid = row.String(0);
        file.created_at = absl::FromUnixNanos(row.Int(1));
      });
}

// Where another project has the same bytes they are there: those in use stay.
absl::Status FileStore::Place(Publication& publication, const std::string& path) {
  if (publication.path.empty()) {
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd.is_open() && errno == EEXIST) return absl::OkStatus();
    if (!fd.is_open()) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the file ", path));
    }
    const absl::Status written = WriteAll(fd.get(), publication.content);
    if (!written.ok()) unlink(path.c_str());
    return written;
  }
  if (access(path.c_str(), F_OK) == 0) return absl::OkStatus();
  if (rename(publication.path.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot move an upload to ", path));
  }
  publication.path.clear();
  return absl::OkStatus();
}

absl::StatusOr<StoredFile> FileStore::GetBySha256(const std::string& project,
                                                  const std::string& sha256) {
  std::optional<StoredFile> file;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        absl::StrCat("SELECT ", kColumns, " FROM files WHERE sha256 = ? AND project = ?"),
        {sha256, project}, [&](const sqlite::Row& row) { file = ToFile(row); });
  }));
  if (!file.has_value()) {
    return absl::NotFoundError(absl::StrCat("there is no file with the SHA-256 ", sha256,
                                            ": upload it with POST /v1/files"));
  }
  return *std::move(file);
}

absl::StatusOr<StoredFile> FileStore::Touch(const std::string& project, const std::string& sha256) {
  ASSIGN_OR_RETURN(StoredFile file, GetBySha256(project, sha256));
  file.updated_at = absl::Now();
  const int64_t nanos = absl::ToUnixNanos(file.updated_at);
  ASSIGN_OR_RETURN(const int64_t rows, [&]() -> absl::StatusOr<int64_t> {
    int64_t changed = 0;
    RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) -> absl::Status {
      ASSIGN_OR_RETURN(
          changed, connection.Execute("UPDATE files SET updated_at = ?, used_at = ? WHERE uuid = ?",
                                      {nanos, nanos, file.uuid}));
      return absl::OkStatus();
    }));
    return changed;
  }());
  if (rows == 0) return absl::NotFoundError("the file was just removed");
  return file;
}

absl::StatusOr<std::vector<StoredFile>> FileStore::Use(const std::string& project,
                                                       const std::vector<std::string>& uuids) {
  std::unordered_map<std::string, StoredFile> found;
  const std::string wanted =
      nlohmann::json(uuids).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const absl::Time now = absl::Now();
  const int64_t stale = absl::ToUnixNanos(now - kUseGrain);
  bool some_stale = false;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        "SELECT uuid, sha256, size, created_at, updated_at, used_at FROM files WHERE project = ? "
        "AND uuid IN (SELECT value FROM json_each(?))",
        {project, wanted}, [&](const sqlite::Row& row) {
          StoredFile file = ToFile(row);
          some_stale |= row.Int(5) < stale;
          found.emplace(file.uuid, std::move(file));
        });
  }));
  std::vector<StoredFile> files;
  files.reserve(uuids.size());
  for (const std::string& uuid : uuids) {
    const auto file = found.find(uuid);
    if (file == found.end()) {
      return absl::NotFoundError(
          absl::StrCat("there is no file ", uuid, ": upload it with POST /v1/files"));
    }
    files.push_back(file->second);
  }
  if (some_stale) {
    RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) {
      return connection
          .Execute(
              "UPDATE files SET used_at = ? WHERE project = ? AND used_at < ? AND uuid IN "
              "(SELECT value FROM json_each(?))",
              {absl::ToUnixNanos(now), project, stale, wanted})
          .status();
    }));
  }
  return files;
}

absl::StatusOr<std::vector<StoredFile>> FileStore::List(const std::string& project,
                                                        const FileFilter& filter) {
  std::vector<StoredFile> files;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        absl::StrCat("SELECT ", kColumns,
                     " FROM files WHERE project = ? AND created_at >= ? AND created_at <= ? "
                     "ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?"),
        {project, absl::ToUnixNanos(filter.since), absl::ToUnixNanos(filter.until),
         int64_t{filter.limit}, int64_t{filter.offset}},
        [&](const sqlite::Row& row) { files.push_back(ToFile(row)); });
  }));
  return files;
}

absl::StatusOr<int> FileStore::RemoveUnused(absl::Time before) {
  std::vector<std::string> hashes;
  RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) {
    return connection.Query("DELETE FROM files WHERE used_at < ? RETURNING sha256",
                            {absl::ToUnixNanos(before)},
                            [&](const sqlite::Row& row) { hashes.push_back(row.String(0)); });
  }));
  // Not before the rows are gone for good: a row must never be without its bytes.
  RETURN_IF_ERROR(RemoveBytes(hashes));
  return static_cast<int>(hashes.size());
}

absl::Status FileStore::RemoveBytes(const std::vector<std::string>& hashes) {
  if (hashes.empty()) return absl::OkStatus();
  // As a writer, so that no upload of the same bytes comes between the look and the removal.
  return database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    for (const std::string& sha256 : hashes) {
      bool needed = false;
      RETURN_IF_ERROR(connection.Query("SELECT 1 FROM files WHERE sha256 = ?", {sha256},
                                       [&](const sqlite::Row&) { needed = true; }));
      if (!needed) unlink(Path(sha256).c_str());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<std::string>> FileStore::StrayBytes() {
  std::unordered_set<std::string> known;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query("SELECT sha256 FROM files", {},
                            [&](const sqlite::Row& row) { known.insert(row.String(0)); });
  }));
  std::vector<std::string> stray;
  std::error_code error;
  for (const auto& group : std::filesystem::directory_iterator(directory_, error)) {
    if (group.path().filename() == "incoming") continue;
    for (const auto& entry : std::filesystem::directory_iterator(group.path(), error)) {
      std::string name = entry.path().filename();
      if (IsSha256Hex(name) && !known.contains(name)) stray.push_back(std::move(name));
    }
  }
  return stray;
}

absl::StatusOr<std::vector<std::string>> FileStore::Check() {
  std::vector<std::string> complaints;
  std::vector<std::pair<std::string, int64_t>> files;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(connection.Query("PRAGMA integrity_check", {}, [&](const sqlite::Row& row) {
      if (row.Text(0) != "ok") complaints.push_back(absl::StrCat("files.db: ", row.Text(0)));
    }));
    return connection.Query(
        "SELECT DISTINCT sha256, size FROM files", {},
        [&](const sqlite::Row& row) { files.emplace_back(row.String(0), row.Int(1)); });
  }));
  for (const auto& [sha256, size] : files) {
    struct stat info;
    if (stat(Path(sha256).c_str(), &info) != 0) {
      complaints.push_back(absl::StrCat("file ", sha256, " is not there"));
    } else if (info.st_size != size || HashOf(Path(sha256)) != sha256) {
      complaints.push_back(absl::StrCat("file ", sha256, " holds something else"));
    }
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> strays, StrayBytes());
  for (const std::string& sha256 : strays) {
    complaints.push_back(absl::StrCat("file ", sha256, " belongs to nothing"));
  }
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat(directory_, "/incoming"), error)) {
    complaints.push_back(absl::StrCat("incoming/", entry.path().filename().string(), " was left"));
  }
  return complaints;
}

}  // namespace contree
