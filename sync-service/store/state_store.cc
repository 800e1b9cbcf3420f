#include "sync-service/store/state_store.h"

#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

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
        UNIQUE (tenant, platform)
      );

      CREATE TABLE state (
        scope INTEGER NOT NULL,
        id TEXT NOT NULL,
        destination TEXT NOT NULL,
        files INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        paths BLOB NOT NULL,     -- of the directories, each followed by a NUL
        contents BLOB NOT NULL,  -- their digests, 32 bytes each
        PRIMARY KEY (scope, id)
      );

      CREATE TABLE content (
        scope INTEGER NOT NULL,
        digest BLOB NOT NULL,
        names BLOB NOT NULL,     -- each followed by a NUL
        modes BLOB NOT NULL,     -- two bytes each, the low one first
        sha256s BLOB NOT NULL,   -- 32 bytes each
        PRIMARY KEY (scope, digest)
      );
    )sql",
};

constexpr size_t kDigestBytes = 32;
constexpr absl::Duration kRetention = absl::Hours(24 * 30);
constexpr absl::Duration kLeastRetention = absl::Hours(24);
// A use that is written down keeps others of the same hour from being written too.
constexpr absl::Duration kUseGrain = absl::Hours(1);

absl::Status Unreadable(absl::string_view id) {
  return absl::DataLossError(absl::StrCat("the stored directory state ", id, " cannot be read"));
}

// False: the columns do not fit together.
bool ReadDirectories(absl::string_view paths, absl::string_view contents,
                     std::vector<StateDirectory>& directories) {
  directories.reserve(contents.size() / kDigestBytes);
  while (!paths.empty()) {
    const size_t end = paths.find('\0');
    if (end == absl::string_view::npos || contents.size() < kDigestBytes) return false;
    directories.push_back({.path = std::string(paths.substr(0, end)),
                           .content = std::string(contents.substr(0, kDigestBytes))});
    paths.remove_prefix(end + 1);
    contents.remove_prefix(kDigestBytes);
  }
  return contents.empty();
}

absl::StatusOr<int64_t> DropStates(Connection& connection, absl::Time now,
                                   int64_t max_scope_bytes) {
  ASSIGN_OR_RETURN(const int64_t unused,
                   connection.Execute("DELETE FROM state WHERE used_at < ?",
                                      {absl::ToUnixMicros(now - kRetention)}));
  ASSIGN_OR_RETURN(
      const int64_t too_many,
      connection.Execute("DELETE FROM state WHERE used_at < ? AND rowid IN (SELECT row FROM ("
                         " SELECT rowid AS row, SUM(length(paths) + length(contents))"
                         " OVER (PARTITION BY scope ORDER BY used_at DESC, rowid DESC) AS total"
                         " FROM state) WHERE total > ?)",
                         {absl::ToUnixMicros(now - kLeastRetention), max_scope_bytes}));
  return unused + too_many;
}

absl::Status DropUnusedContents(Connection& connection) {
  // States share nearly all of their contents, so that the set stays small.
  absl::flat_hash_set<std::pair<int64_t, std::string>> used;
  RETURN_IF_ERROR(
      connection.Query("SELECT scope, contents FROM state", {}, [&used](const Row& row) {
        absl::string_view digests = row.Text(1);
        for (; digests.size() >= kDigestBytes; digests.remove_prefix(kDigestBytes)) {
          used.emplace(row.Int(0), std::string(digests.substr(0, kDigestBytes)));
        }
      }));
  std::vector<int64_t> unused;
  RETURN_IF_ERROR(
      connection.Query("SELECT rowid, scope, digest FROM content", {}, [&](const Row& row) {
        if (!used.contains({row.Int(1), row.String(2)})) unused.push_back(row.Int(0));
      }));
  for (const int64_t rowid : unused) {
    RETURN_IF_ERROR(connection.Execute("DELETE FROM content WHERE rowid = ?", {rowid}).status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateStore>> StateStore::Open(const std::string& path,
                                                             absl::Time now,
                                                             int64_t max_scope_bytes) {
  ASSIGN_OR_RETURN(auto database,
                   sqlite::Database::Open({.path = path,
                                           .migrations = kMigrations,
                                           .durability = sqlite::Durability::kFull,
                                           .on_corruption = sqlite::OnCorruption::kRefuse}));
  std::unique_ptr<StateStore> store(new StateStore(std::move(database), max_scope_bytes));
  RETURN_IF_ERROR(store->DropOld(now));
  return store;
}

absl::Status StateStore::DropOld(absl::Time now) {
  return database_->Write([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t dropped, DropStates(connection, now, max_scope_bytes_));
    return dropped == 0 ? absl::OkStatus() : DropUnusedContents(connection);
  });
}

absl::Status StateStore::MarkUsed(int64_t scope, absl::string_view id, absl::Time used_at,
                                  absl::Time now) {
  if (now - used_at < kUseGrain) return absl::OkStatus();
  return database_->Write([&](Connection& connection) {
    return connection
        .Execute("UPDATE state SET used_at = ? WHERE scope = ? AND id = ?",
                 {absl::ToUnixMicros(now), scope, id})
        .status();
  });
}

absl::StatusOr<std::optional<StateSummary>> StateStore::FindSummary(const SyncScope& scope,
                                                                    absl::string_view id,
                                                                    absl::Time now) {
  std::optional<StateSummary> found;
  std::optional<int64_t> scope_id;
  absl::Time used_at;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(scope_id, FindScope(connection, scope));
    if (!scope_id.has_value()) return absl::OkStatus();
    return connection.Query("SELECT files, bytes, used_at FROM state WHERE scope = ? AND id = ?",
                            {*scope_id, id}, [&](const Row& row) {
                              found = {.files = row.Int(0), .bytes = row.Int(1)};
                              used_at = absl::FromUnixMicros(row.Int(2));
                            });
  }));
  if (found.has_value()) RETURN_IF_ERROR(MarkUsed(*scope_id, id, used_at, now));
  return found;
}

absl::StatusOr<std::optional<DirectoryState>> StateStore::Find(const SyncScope& scope,
                                                               absl::string_view id,
                                                               absl::Time now) {
  std::optional<DirectoryState> found;
  std::optional<int64_t> scope_id;
  bool readable = true;
  absl::Time used_at;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(scope_id, FindScope(connection, scope));
    if (!scope_id.has_value()) return absl::OkStatus();
    return connection.Query(
        "SELECT destination, files, bytes, used_at, paths, contents FROM state"
        " WHERE scope = ? AND id = ?",
        {*scope_id, id}, [&](const Row& row) {
          found = {.destination = row.String(0),
                   .files = row.Int(1),
                   .bytes = row.Int(2),
                   .directories = {}};
          used_at = absl::FromUnixMicros(row.Int(3));
          readable = ReadDirectories(row.Text(4), row.Text(5), found->directories);
        });
  }));
  if (!readable) return Unreadable(id);
  if (found.has_value()) RETURN_IF_ERROR(MarkUsed(*scope_id, id, used_at, now));
  return found;
}

absl::Status StateStore::ReadContents(
    const SyncScope& scope, absl::Span<const std::string> digests,
    absl::FunctionRef<absl::Status(size_t index, const DirectoryContent& content)> each) {
  return database_->Read([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<int64_t> scope_id, FindScope(connection, scope));
    if (!scope_id.has_value()) return absl::OkStatus();
    for (size_t i = 0; i < digests.size(); ++i) {
      absl::Status status;
      RETURN_IF_ERROR(connection.Query(
          "SELECT names, modes, sha256s FROM content WHERE scope = ? AND digest = ?",
          {*scope_id, Blob{digests[i]}}, [&](const Row& row) {
            const DirectoryContent content(row.String(0), row.String(1), row.String(2));
            status = content.IsWhole()
                         ? each(i, content)
                         : Unreadable(absl::StrCat("content ", absl::BytesToHexString(digests[i])));
          }));
      RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  });
}

absl::Status StateStore::Put(
    const SyncScope& scope, absl::string_view id, const DirectoryState& state,
    absl::FunctionRef<absl::StatusOr<DirectoryContent>(size_t index)> content_of, absl::Time now) {
  std::string paths;
  std::string contents;
  for (const StateDirectory& directory : state.directories) {
    absl::StrAppend(&paths, directory.path, absl::string_view("\0", 1));
    contents += directory.content;
  }
  return database_->Write([&](Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t scope_id, FindOrAddScope(connection, scope));
    ASSIGN_OR_RETURN(
        const int64_t known,
        connection.Execute("UPDATE state SET used_at = max(used_at, ?) WHERE scope = ? AND id = ?",
                           {absl::ToUnixMicros(now), scope_id, id}));
    if (known > 0) return absl::OkStatus();
    for (size_t i = 0; i < state.directories.size(); ++i) {
      const std::string& digest = state.directories[i].content;
      bool is_stored = false;
      RETURN_IF_ERROR(connection.Query("SELECT 1 FROM content WHERE scope = ? AND digest = ?",
                                       {scope_id, Blob{digest}},
                                       [&is_stored](const Row&) { is_stored = true; }));
      if (is_stored) continue;
      ASSIGN_OR_RETURN(const DirectoryContent content, content_of(i));
      RETURN_IF_ERROR(connection
                          .Execute("INSERT INTO content (scope, digest, names, modes, sha256s)"
                                   " VALUES (?, ?, ?, ?, ?)",
                                   {scope_id, Blob{digest}, Blob{content.names()},
                                    Blob{content.modes()}, Blob{content.sha256s()}})
                          .status());
    }
    return connection
        .Execute(
            "INSERT INTO state (scope, id, destination, files, bytes, created_at, used_at, paths,"
            " contents) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            {scope_id, id, state.destination, state.files, state.bytes, absl::ToUnixMicros(now),
             absl::ToUnixMicros(now), Blob{paths}, Blob{contents}})
        .status();
  });
}

}  // namespace contree
