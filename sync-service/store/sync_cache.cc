#include "sync-service/store/sync_cache.h"

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

using sqlite::Blob;
using sqlite::Connection;
using sqlite::Row;

// Appended to, never edited.
constexpr absl::string_view kMigrations[] = {
    R"sql(
      -- Times are microseconds since 1970.
      CREATE TABLE scope (
        id INTEGER PRIMARY KEY,
        tenant TEXT NOT NULL,
        platform TEXT NOT NULL,
        epoch INTEGER NOT NULL DEFAULT 0,
        UNIQUE (tenant, platform)
      );

      CREATE TABLE source (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: rows of a sync that still runs
        scope INTEGER NOT NULL,
        name TEXT NOT NULL,
        view TEXT NOT NULL,
        used_at INTEGER NOT NULL,
        UNIQUE (scope, name, view)
      );

      -- Apart from the files, so that all directories of a source lie on few pages.
      CREATE TABLE directory (
        source INTEGER NOT NULL,
        path BLOB NOT NULL,
        digest BLOB NOT NULL,
        content BLOB NOT NULL,
        files INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        has_young INTEGER NOT NULL,
        PRIMARY KEY (source, path)
      ) WITHOUT ROWID;

      CREATE TABLE directory_files (
        source INTEGER NOT NULL,
        path BLOB NOT NULL,
        listing BLOB NOT NULL,  -- contree.sync.v1.DirectoryListing
        sha256s BLOB NOT NULL,  -- 32 bytes each
        PRIMARY KEY (source, path)
      );

      CREATE TABLE tree (
        source INTEGER NOT NULL,
        destination TEXT NOT NULL,
        digest BLOB NOT NULL,
        state TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        has_young INTEGER NOT NULL,
        made_at INTEGER NOT NULL,
        PRIMARY KEY (source, destination)
      ) WITHOUT ROWID;

      CREATE TABLE blob (
        scope INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        uuid TEXT NOT NULL,
        seen_at INTEGER NOT NULL,
        PRIMARY KEY (scope, sha256)
      ) WITHOUT ROWID;
    )sql",
};

constexpr absl::Duration kSourceRetention = absl::Hours(24 * 90);
// The platform is said to keep files for about six months.
constexpr absl::Duration kBlobRetention = absl::Hours(24 * 60);
// A use that is written down keeps others of the same hour from being written too.
constexpr absl::Duration kUseGrain = absl::Hours(1);

absl::Status StoreDirectory(Connection& connection, int64_t source, const KnownDirectory& directory,
                            const KnownFiles& files) {
  RETURN_IF_ERROR(connection
                      .Execute("REPLACE INTO directory (source, path, digest, content, files,"
                               " bytes, epoch, has_young) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                               {source, Blob{directory.path}, Blob{directory.digest},
                                Blob{directory.content}, directory.files, directory.bytes,
                                directory.epoch, int64_t{directory.has_young}})
                      .status());
  return connection
      .Execute("REPLACE INTO directory_files (source, path, listing, sha256s) VALUES (?, ?, ?, ?)",
               {source, Blob{directory.path}, Blob{files.listing}, Blob{files.sha256s}})
      .status();
}

absl::Status DropDirectory(Connection& connection, int64_t source, absl::string_view path) {
  for (const char* sql : {"DELETE FROM directory WHERE source = ? AND path = ?",
                          "DELETE FROM directory_files WHERE source = ? AND path = ?"}) {
    RETURN_IF_ERROR(connection.Execute(sql, {source, Blob{path}}).status());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<sqlite::Database>> OpenFile(const std::string& path) {
  return sqlite::Database::Open({.path = path,
                                 .migrations = kMigrations,
                                 .durability = sqlite::Durability::kNormal,
                                 .on_corruption = sqlite::OnCorruption::kSetAside});
}

}  // namespace

absl::StatusOr<std::unique_ptr<SyncCache>> SyncCache::Open(const std::string& path,
                                                           absl::Time now) {
  ASSIGN_OR_RETURN(auto database, OpenFile(path));
  std::unique_ptr<SyncCache> cache(new SyncCache(path, std::move(database)));
  absl::Status dropped = cache->DropOld(now);
  // Damaged inside; it has been set aside.
  if (absl::IsUnavailable(dropped)) dropped = cache->DropOld(now);
  RETURN_IF_ERROR(dropped);
  return cache;
}

std::shared_ptr<sqlite::Database> SyncCache::database() const {
  absl::MutexLock lock(&mutex_);
  return database_;
}

absl::Status SyncCache::Read(Body body) {
  const std::shared_ptr<sqlite::Database> database = this->database();
  return Judge(database, database->Read(body));
}

absl::Status SyncCache::Write(Body body) {
  const std::shared_ptr<sqlite::Database> database = this->database();
  return Judge(database, database->Write(body));
}

absl::Status SyncCache::Judge(const std::shared_ptr<sqlite::Database>& database,
                              absl::Status status) {
  if (!absl::IsDataLoss(status)) return status;
  absl::MutexLock lock(&mutex_);
  if (database == database_) {  // else another call did it
    LogWarning("the sync cache is damaged and is set aside",
               {{"file", path_}, {"error", std::string(status.message())}});
    RETURN_IF_ERROR(sqlite::SetAside(path_));
    ASSIGN_OR_RETURN(database_, OpenFile(path_));
  }
  return absl::UnavailableError(
      absl::StrCat(path_, " was damaged and has been set aside: sync again"));
}

absl::Status SyncCache::DropOld(absl::Time now) {
  const int64_t oldest_source = absl::ToUnixMicros(now - kSourceRetention);
  const int64_t oldest_blob = absl::ToUnixMicros(now - kBlobRetention);
  return Write([&](Connection& connection) -> absl::Status {
    for (const char* sql :
         {"DELETE FROM directory WHERE source IN (SELECT id FROM source WHERE used_at < ?)",
          "DELETE FROM directory_files WHERE source IN (SELECT id FROM source WHERE used_at < ?)",
          "DELETE FROM tree WHERE source IN (SELECT id FROM source WHERE used_at < ?)",
          "DELETE FROM source WHERE used_at < ?"}) {
      RETURN_IF_ERROR(connection.Execute(sql, {oldest_source}).status());
    }
    for (const char* sql : {"UPDATE scope SET epoch = epoch + 1 WHERE id IN"
                            " (SELECT DISTINCT scope FROM blob WHERE seen_at < ?)",
                            "DELETE FROM blob WHERE seen_at < ?"}) {
      RETURN_IF_ERROR(connection.Execute(sql, {oldest_blob}).status());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<TreeSource> SyncCache::OpenSource(const SyncScope& scope, absl::string_view name,
                                                 absl::string_view view, absl::Time now) {
  std::optional<TreeSource> found;
  absl::Time used_at;
  const auto find = [&](Connection& connection) {
    return connection.Query(
        "SELECT source.id, scope.id, scope.epoch, source.used_at"
        " FROM scope JOIN source ON source.scope = scope.id"
        " WHERE tenant = ? AND platform = ? AND name = ? AND view = ?",
        {scope.tenant, scope.platform, name, view}, [&](const Row& row) {
          found = {.id = row.Int(0), .scope = row.Int(1), .epoch = row.Int(2)};
          used_at = absl::FromUnixMicros(row.Int(3));
        });
  };
  RETURN_IF_ERROR(Read(find));
  if (found.has_value() && now - used_at < kUseGrain) return *found;
  RETURN_IF_ERROR(Write([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t scope_id, FindOrAddScope(connection, scope));
    RETURN_IF_ERROR(
        connection
            .Execute("INSERT INTO source (scope, name, view, used_at) VALUES (?, ?, ?, ?)"
                     " ON CONFLICT DO UPDATE SET used_at = max(used_at, excluded.used_at)",
                     {scope_id, name, view, absl::ToUnixMicros(now)})
            .status());
    return find(connection);
  }));
  if (!found.has_value()) return absl::InternalError("a source was added and is not there");
  return *found;
}

absl::StatusOr<std::optional<KnownTree>> SyncCache::FindTree(const TreeSource& source,
                                                             absl::string_view destination) {
  std::optional<KnownTree> found;
  RETURN_IF_ERROR(Read([&](Connection& connection) {
    return connection.Query(
        "SELECT digest, state, epoch, has_young FROM tree WHERE source = ? AND destination = ?",
        {source.id, destination}, [&found](const Row& row) {
          found = {.digest = row.String(0),
                   .state = row.String(1),
                   .epoch = row.Int(2),
                   .has_young = row.Bool(3)};
        });
  }));
  return found;
}

absl::StatusOr<std::optional<std::string>> SyncCache::FindLastState(const TreeSource& source,
                                                                    absl::string_view destination) {
  std::optional<std::string> found;
  RETURN_IF_ERROR(Read([&](Connection& connection) {
    return connection.Query(
        "SELECT tree.state FROM source AS own"
        " JOIN source AS other ON other.scope = own.scope AND other.name = own.name"
        " JOIN tree ON tree.source = other.id"
        " WHERE own.id = ? AND tree.destination = ? ORDER BY tree.made_at DESC LIMIT 1",
        {source.id, destination}, [&found](const Row& row) { found = row.String(0); });
  }));
  return found;
}

absl::StatusOr<std::vector<KnownDirectory>> SyncCache::ListDirectories(const TreeSource& source) {
  std::vector<KnownDirectory> found;
  RETURN_IF_ERROR(Read([&](Connection& connection) {
    return connection.Query(
        "SELECT path, digest, content, files, bytes, epoch, has_young FROM directory"
        " WHERE source = ? ORDER BY path",
        {source.id}, [&found](const Row& row) {
          found.push_back({.path = row.String(0),
                           .digest = row.String(1),
                           .content = row.String(2),
                           .files = row.Int(3),
                           .bytes = row.Int(4),
                           .epoch = row.Int(5),
                           .has_young = row.Bool(6)});
        });
  }));
  return found;
}

absl::StatusOr<std::vector<KnownFiles>> SyncCache::FindFiles(const TreeSource& source,
                                                             absl::string_view path) {
  std::vector<KnownFiles> found;
  RETURN_IF_ERROR(Read([&](Connection& connection) {
    return connection.Query(
        "SELECT files.listing, files.sha256s, directory.epoch, directory.digest"
        " FROM source AS own"
        " JOIN source AS other ON other.scope = own.scope AND other.name = own.name"
        " JOIN directory ON directory.source = other.id AND directory.path = ?"
        " JOIN directory_files AS files ON files.source = other.id AND files.path = directory.path"
        " WHERE own.id = ? ORDER BY other.id = own.id DESC",
        {Blob{path}, source.id}, [&found](const Row& row) {
          found.push_back({.listing = row.String(0),
                           .sha256s = row.String(1),
                           .epoch = row.Int(2),
                           .digest = row.String(3)});
        });
  }));
  return found;
}

absl::Status SyncCache::Store(const TreeSource& source, const Findings& findings, absl::Time now) {
  return Write([&](Connection& connection) -> absl::Status {
    for (const auto& [directory, files] : findings.directories) {
      RETURN_IF_ERROR(StoreDirectory(connection, source.id, directory, files));
    }
    for (const std::string& path : findings.gone) {
      RETURN_IF_ERROR(DropDirectory(connection, source.id, path));
    }
    return connection
        .Execute(
            "REPLACE INTO tree (source, destination, digest, state, epoch, has_young, made_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            {source.id, findings.destination, Blob{findings.tree.digest}, findings.tree.state,
             findings.tree.epoch, int64_t{findings.tree.has_young}, absl::ToUnixMicros(now)})
        .status();
  });
}

absl::StatusOr<std::vector<std::string>> SyncCache::FindBlobs(
    const SyncScope& scope, absl::Span<const std::string> sha256s) {
  std::vector<std::string> uuids(sha256s.size());
  RETURN_IF_ERROR(Read([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<int64_t> scope_id, FindScope(connection, scope));
    if (!scope_id.has_value()) return absl::OkStatus();
    for (size_t i = 0; i < sha256s.size(); ++i) {
      RETURN_IF_ERROR(connection.Query("SELECT uuid FROM blob WHERE scope = ? AND sha256 = ?",
                                       {*scope_id, Blob{sha256s[i]}},
                                       [&](const Row& row) { uuids[i] = row.String(0); }));
    }
    return absl::OkStatus();
  }));
  return uuids;
}

absl::Status SyncCache::PutBlobs(const SyncScope& scope, absl::Span<const KnownBlob> blobs,
                                 absl::Time now) {
  if (blobs.empty()) return absl::OkStatus();
  return Write([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t scope_id, FindOrAddScope(connection, scope));
    for (const KnownBlob& blob : blobs) {
      RETURN_IF_ERROR(
          connection
              .Execute("REPLACE INTO blob (scope, sha256, uuid, seen_at) VALUES (?, ?, ?, ?)",
                       {scope_id, Blob{blob.sha256}, blob.uuid, absl::ToUnixMicros(now)})
              .status());
    }
    return absl::OkStatus();
  });
}

absl::Status SyncCache::ForgetBlobs(const SyncScope& scope, absl::Span<const std::string> sha256s) {
  return Write([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t scope_id, FindOrAddScope(connection, scope));
    for (const std::string& sha256 : sha256s) {
      RETURN_IF_ERROR(
          connection
              .Execute("DELETE FROM blob WHERE scope = ? AND sha256 = ?", {scope_id, Blob{sha256}})
              .status());
    }
    return connection.Execute("UPDATE scope SET epoch = epoch + 1 WHERE id = ?", {scope_id})
        .status();
  });
}

}  // namespace contree
