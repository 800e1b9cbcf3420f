#ifndef SYNC_SERVICE_STORE_SYNC_CACHE_H_
#define SYNC_SERVICE_STORE_SYNC_CACHE_H_

// What syncs remember so as not to do it again (sync-cache.db): the stats and hashes of the files
// of each source, which contents the platform holds, and which state a tree became. All of it can
// be had again, so a power cut may lose the newest of it, and a damaged file is set aside.
//
// One row is one directory: comparing a hundred thousand unchanged files reads two thousand small
// rows, and the columns with their stats are read for directories that changed.
//
// Contents are forgotten after a while, because the platform forgets them too. Each forgetting
// begins a new epoch, and what was stored in an earlier one says nothing about which contents are
// there.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/sqlite/database.h"
#include "sync-service/store/sync_scope.h"

namespace contree {

// One view of one directory tree, as numbers of this file.
struct TreeSource {
  int64_t id = 0;
  int64_t scope = 0;
  int64_t epoch = 0;  // the current one
};

// A directory of a source without its files.
struct KnownDirectory {
  std::string path = {};
  std::string digest = {};   // of the listing; empty: files were not as listed, so none has it
  std::string content = {};  // DirectoryContent::Digest
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t epoch = 0;       // in which all of its contents were there
  bool has_young = false;  // files whose stat is not to be trusted
};

// The files of a directory.
struct KnownFiles {
  std::string listing = {};  // sync.v1.DirectoryListing, with the stats that the hashes belong to
  std::string sha256s = {};  // 32 bytes each
  int64_t epoch = 0;         // as the directory's
  std::string digest = {};   // as the directory's
};

// Which state a source became at a destination.
struct KnownTree {
  std::string digest = {};  // of the tree; empty: files were not as listed, so none has it
  std::string state = {};
  int64_t epoch = 0;
  bool has_young = false;
};

// A content that the platform holds.
struct KnownBlob {
  std::string sha256 = {};  // 32 bytes
  std::string uuid = {};    // the platform's id
};

// Thread-safe. Every method may return Unavailable, ResourceExhausted (disk full) as
// sqlite::Connection does. A method that finds the file damaged sets it aside and returns
// Unavailable: the next one begins with an empty cache.
class SyncCache {
 public:
  // Opens or makes the file and drops what is past its retention. FailedPrecondition: a newer
  // version of the program wrote it.
  static absl::StatusOr<std::unique_ptr<SyncCache>> Open(const std::string& path, absl::Time now);

  // Finds or adds a source, and keeps it from being dropped for another while.
  absl::StatusOr<TreeSource> OpenSource(const SyncScope& scope, absl::string_view name,
                                        absl::string_view view, absl::Time now);

  absl::StatusOr<std::optional<KnownTree>> FindTree(const TreeSource& source,
                                                    absl::string_view destination);
  // The newest state of this source, in any view, at this destination.
  absl::StatusOr<std::optional<std::string>> FindLastState(const TreeSource& source,
                                                           absl::string_view destination);
  // All directories of the source, sorted by path.
  absl::StatusOr<std::vector<KnownDirectory>> ListDirectories(const TreeSource& source);
  // The files of one directory as each view of the source knows them, its own view first.
  absl::StatusOr<std::vector<KnownFiles>> FindFiles(const TreeSource& source,
                                                    absl::string_view path);

  // What a sync found out, in one transaction: directories in place of those of the same path,
  // those that are gone, and the tree.
  struct Findings {
    std::vector<std::pair<KnownDirectory, KnownFiles>> directories = {};
    std::vector<std::string> gone = {};
    std::string destination = {};
    KnownTree tree = {};
  };
  absl::Status Store(const TreeSource& source, const Findings& findings, absl::Time now);

  // For each SHA-256 (32 bytes) the platform's id; empty: not known to be there.
  absl::StatusOr<std::vector<std::string>> FindBlobs(const SyncScope& scope,
                                                     absl::Span<const std::string> sha256s);
  absl::Status PutBlobs(const SyncScope& scope, absl::Span<const KnownBlob> blobs, absl::Time now);
  // The platform no longer has these. Begins a new epoch, also where none was known.
  absl::Status ForgetBlobs(const SyncScope& scope, absl::Span<const std::string> sha256s);

  // Drops sources that were not synced for 90 days, and contents that were last seen 60 days ago.
  absl::Status DropOld(absl::Time now);

 private:
  using Body = absl::FunctionRef<absl::Status(sqlite::Connection&)>;

  SyncCache(std::string path, std::unique_ptr<sqlite::Database> database)
      : path_(std::move(path)), database_(std::move(database)) {}
  absl::Status Read(Body body);
  absl::Status Write(Body body);
  std::shared_ptr<sqlite::Database> database() const;
  // `status` is of a call on `database`.
  absl::Status Judge(const std::shared_ptr<sqlite::Database>& database, absl::Status status);

  const std::string path_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<sqlite::Database> database_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // SYNC_SERVICE_STORE_SYNC_CACHE_H_
