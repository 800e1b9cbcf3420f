#ifndef GATEWAY_SYNC_TREE_H_
#define GATEWAY_SYNC_TREE_H_

// What a walk saw of a directory of this machine: for each directory the rows of its files, as they
// are sent to sync-service, and their digest.
//
// TreeDirectory and Tree are immutable once made and shared between the syncs of a source.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "gateway/sync/omissions.h"
#include "gateway/workspace/workspace.h"

namespace contree::gateway {

// The largest serialized DirectoryListing.
inline constexpr size_t kMaxListingBytes = 32 << 20;

// The directory, or the one file, that is synced. Thread-safe.
struct TreeRoot {
  UniqueFd fd;       // open for reading
  std::string path;  // absolute, for messages
  bool is_directory = false;
  uint64_t device = 0;
  uint64_t inode = 0;

  // Internal: the system does not even say what it is.
  static absl::StatusOr<std::shared_ptr<const TreeRoot>> Of(HostSource source);
};

// A regular file as it was looked at.
struct FileRow {
  uint32_t mode = 0;  // 07777
  int64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint64_t inode = 0;
  // A change right behind the look might not show in the other members.
  bool is_young = false;
  // Changes may come by another name, so that watching this one does not show them.
  bool has_other_names = false;
  // A symbolic link that is carried as the file it leads to; the row is that file's.
  bool is_link = false;

  bool HasStatOf(const FileRow& other) const {
    return mode == other.mode && size == other.size && mtime_ns == other.mtime_ns &&
           ctime_ns == other.ctime_ns && inode == other.inode;
  }
};

struct TreeDirectory {
  std::string path;                    // relative to the root, "" for itself
  sync::v1::DirectoryListing listing;  // rows sorted by name
  std::string digest;                  // of the serialized listing; empty where there are no files
  int64_t bytes = 0;
  bool is_omitted = false;            // its one omission is itself
  std::vector<uint32_t> links;        // rows that are symbolic links, sorted
  std::vector<uint32_t> other_names;  // rows with has_other_names, sorted
  Omissions omissions;                // of its own entries

  int files() const { return listing.modes_size(); }
  std::vector<absl::string_view> Names() const;
  FileRow Row(int file) const;
};

// Collects the rows of one directory, in any order. Reusable, so that a walk allocates little.
class TreeDirectoryBuilder {
 public:
  void Add(absl::string_view name, const FileRow& row);
  // InvalidArgument: the directory holds too many files for one listing. Leaves the builder empty.
  absl::StatusOr<std::shared_ptr<const TreeDirectory>> Build(absl::string_view path,
                                                             Omissions omissions);

 private:
  struct Item {
    size_t name_at;
    size_t name_size;
    FileRow row;
  };
  absl::string_view NameOf(const Item& item) const {
    return absl::string_view(names_).substr(item.name_at, item.name_size);
  }

  std::string names_;
  std::vector<Item> items_;
  std::string serialized_;
};

struct Tree {
  std::shared_ptr<const TreeRoot> root;
  // Those with files, sorted by path: numbered as the service sees them.
  std::vector<std::shared_ptr<const TreeDirectory>> directories;
  std::string digest;  // 32 bytes
  int64_t files = 0;
  int64_t bytes = 0;
  int64_t links = 0;  // files that are symbolic links on this machine
  Omissions omissions;
};

// `directories`: all that were walked, sorted by path.
std::shared_ptr<const Tree> MakeTree(std::shared_ptr<const TreeRoot> root,
                                     std::vector<std::shared_ptr<const TreeDirectory>> directories);

// "a/b" of "a" and "b"; "b" of "" and "b".
std::string JoinTreePath(absl::string_view directory, absl::string_view name);

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_TREE_H_
