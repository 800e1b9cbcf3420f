#ifndef SYNC_SERVICE_SYNC_TREE_H_
#define SYNC_SERVICE_SYNC_TREE_H_

// The tree of one sync as the walker tells it: its directories, and of those that are looked at
// closely the files with what is known of each. Thread-compatible.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "sync-service/checked_listing.h"
#include "sync-service/content_intake.h"
#include "sync-service/store/directory_content.h"
#include "sync-service/store/sync_cache.h"

namespace contree {

enum class FileState : uint8_t {
  kUnknown,
  kAwaitsHash,  // the walker is to hash it
  kHasHash,     // whether the platform has its content is to be seen
  kAwaitsBlob,  // its content is on the way to the platform
  kDone,        // the platform has its content
  kGone,        // it is no more, or cannot be read
};

class SyncTree {
 public:
  struct Files {
    CheckedListing listing;
    std::string sha256s;  // 32 bytes each
    std::vector<FileState> states;
    bool are_as_listed = true;  // none was told as changed
  };
  struct Directory {
    std::string path;
    std::string digest;            // of its listing, as the walker says
    KnownDirectory known;          // what is known of it, where it has no files here
    std::unique_ptr<Files> files;  // where it is looked at closely
  };

  // Adds what the walker names. InvalidArgument: a number, order, path or digest that cannot be;
  // too many.
  absl::Status AddDirectories(const sync::v1::SyncDirectories& message);
  // Whether the directories are those of this tree digest.
  absl::Status CheckDigest(absl::string_view tree_digest) const;

  std::vector<Directory>& directories() { return directories_; }
  const std::vector<Directory>& directories() const { return directories_; }

  // Looks at a directory closely. `listing` is what the walker sent for it, or what is known where
  // the digest is the same. InvalidArgument: it is none; too many files in all.
  absl::Status SetListing(uint32_t directory, absl::string_view listing);

  // InvalidArgument: no such file was listed.
  absl::Status CheckFile(FileRef ref) const;
  // Of a file that was listed.
  Files& files_of(FileRef ref) { return *directories_[ref.directory].files; }
  FileState& state(FileRef ref) { return files_of(ref).states[ref.file]; }
  std::string sha256(FileRef ref) const;
  void SetSha256(FileRef ref, absl::string_view sha256);
  int64_t size(FileRef ref) const;
  // Below the source, for messages.
  std::string PathOf(FileRef ref) const;

  // Calls `each` for every file in `state` that was listed.
  void ForEach(FileState state, absl::FunctionRef<void(FileRef)> each) const;

  // Of a directory that is looked at closely: its content, without what is gone, and what is to be
  // known of it from now on.
  static DirectoryContent ContentOf(const Files& files);
  static KnownDirectory Learned(const Directory& directory, int64_t epoch);
  static KnownFiles LearnedFiles(const Files& files);

 private:
  std::vector<Directory> directories_;
  size_t path_bytes_ = 0;
  size_t files_ = 0;
};

}  // namespace contree

#endif  // SYNC_SERVICE_SYNC_TREE_H_
