#ifndef LOCAL_BACKEND_FILES_FILE_STORE_H_
#define LOCAL_BACKEND_FILES_FILE_STORE_H_

// Uploaded files, known by their content: the same bytes are stored once, under the same UUID for
// everybody of a project. The bytes are files/XX/SHA256, never changed once they are there; what
// names them is in files.db. Thread-safe.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/files/sha256.h"
#include "common/files/unique_fd.h"
#include "common/sqlite/database.h"
#include "local-backend/upkeep/disk_budget.h"

namespace contree {

inline constexpr size_t kMaxFileBytes = 128 * 1024 * 1024 - 1;

struct StoredFile {
  std::string uuid;
  std::string sha256;
  int64_t size = 0;
  absl::Time created_at;
  absl::Time updated_at;  // uploaded last
};

struct FileFilter {
  int limit = 100;
  int offset = 0;
  absl::Time since = absl::InfinitePast();    // inclusive
  absl::Time until = absl::InfiniteFuture();  // inclusive
};

class FileStore {
 public:
  // Opens or makes the store in `directory`. What may not have reached the disk before a power cut
  // is compared with its hash, and forgotten where it differs; bytes that no row names are removed.
  // `budget`, if any, is asked before bytes are stored, and outlives this.
  static absl::StatusOr<std::unique_ptr<FileStore>> Open(const std::string& directory,
                                                         DiskBudget* budget = nullptr);

  // One file on its way in; small ones stay in memory until they prove to be new. Gone without a
  // trace unless Finish is called. Used by one thread; the store outlives it.
  class Upload {
   public:
    Upload(Upload&& other) noexcept;
    ~Upload();
    // Both ResourceExhausted: there is no space; the message says what to do.
    absl::Status Append(absl::string_view bytes);
    absl::StatusOr<StoredFile> Finish(const std::string& project);

   private:
    friend class FileStore;
    explicit Upload(FileStore& store) : store_(store) {}
    absl::Status CheckRoom() const;
    absl::Status Spill();

    FileStore& store_;
    Sha256 hash_;
    int64_t size_ = 0;
    std::string held_;  // what was not written yet
    std::string path_;  // of the file below incoming/; empty: none yet
    UniqueFd file_;
  };
  Upload Begin() { return Upload(*this); }

  // NotFound: the project has no such file.
  absl::StatusOr<StoredFile> GetBySha256(const std::string& project, const std::string& sha256);
  // In the order asked for; they count as used now. NotFound: names the first that is missing.
  absl::StatusOr<std::vector<StoredFile>> Use(const std::string& project,
                                              const std::vector<std::string>& uuids);
  // Newest first.
  absl::StatusOr<std::vector<StoredFile>> List(const std::string& project,
                                               const FileFilter& filter);

  // Where the bytes are: a file of mode 0644 that nobody may write to.
  std::string Path(absl::string_view sha256) const;

  // Writes to the disk what is not there yet. To be called now and then.
  absl::Status Sync();
  // Forgets files that nobody uploaded or used since `before`. Returns how many.
  absl::StatusOr<int> RemoveUnused(absl::Time before);
  // Compares files.db with the bytes on the disk, while nothing is uploaded. A line for each thing
  // that is wrong. It reads every file.
  absl::StatusOr<std::vector<std::string>> Check();

 private:
  FileStore(std::string directory, std::unique_ptr<sqlite::Database> database, DiskBudget* budget);
  absl::Status CheckUnsynced();
  // The hashes of files that no row names.
  absl::StatusOr<std::vector<std::string>> StrayBytes();
  absl::Status RemoveBytes(const std::vector<std::string>& hashes);
  absl::StatusOr<StoredFile> Touch(const std::string& project, const std::string& sha256);
  // A new row and the bytes that it names; where the project has such a row, that one is told.
  struct Publication {
    StoredFile file;
    std::string project;
    std::string path;     // of the bytes, below incoming/; empty once they are in their place
    std::string content;  // the bytes, where `path` is empty from the start
    bool is_done = false;
    absl::Status status = absl::OkStatus();
  };
  // Many at once become one transaction: one thread works for all that came while the last one did.
  absl::Status Publish(Publication& publication);
  absl::Status PublishOne(sqlite::Connection& connection, Publication& publication);
  static absl::Status FindAgain(sqlite::Connection& connection, Publication& publication);
  static absl::Status Place(Publication& publication, const std::string& path);

  const std::string directory_;
  const std::unique_ptr<sqlite::Database> database_;
  DiskBudget* const budget_;
  std::atomic<int64_t> next_upload_ = 1;
  absl::Mutex publishing_;
  bool somebody_publishes_ ABSL_GUARDED_BY(publishing_) = false;
  std::vector<Publication*> to_publish_ ABSL_GUARDED_BY(publishing_);
};

}  // namespace contree

#endif  // LOCAL_BACKEND_FILES_FILE_STORE_H_
