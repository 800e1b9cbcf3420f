#ifndef GATEWAY_SYNC_TREE_WALK_H_
#define GATEWAY_SYNC_TREE_WALK_H_

// Walking a tree: all directories below a root, without what the patterns exclude, on two threads.
// No file is read.

#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/sync/ignore_pattern.h"
#include "gateway/sync/tree.h"

namespace contree::gateway {

// The most files of one tree: more are taken for a mistake, such as a home directory.
inline constexpr int64_t kMaxTreeFiles = 1'000'000;

struct WalkOptions {
  int threads = 2;
  // Each directory is watched from before it is read; -1: none is.
  int inotify_fd = -1;
  int max_watches = 0;
  std::stop_token stop = {};
};

struct WalkedDirectory {
  std::shared_ptr<const TreeDirectory> directory;
  int watch = -1;  // inotify's number
};

struct Walk {
  std::vector<WalkedDirectory> directories;  // sorted by path
  bool is_watched = false;  // every directory, and all on file systems that tell all changes
};

// One directory without those in it.
struct ReadDirectory {
  WalkedDirectory directory;                  // null: it vanished
  std::vector<std::string> directories = {};  // their paths, relative to the root
};
// Errors as WalkTree has them.
absl::StatusOr<ReadDirectory> ReadTreeDirectory(const TreeRoot& root, const std::string& path,
                                                const IgnorePatterns& excludes);

// The directory when only these of its files changed, which are looked at; the rows of the others
// are taken over. Of a directory on a file system of this machine. nullptr: there is more to it,
// such as a name that was none of its files; it is to be read whole. Errors as WalkTree has them.
absl::StatusOr<std::shared_ptr<const TreeDirectory>> LookAtFilesAgain(
    const TreeRoot& root, const TreeDirectory& before, const std::set<std::string>& names,
    const IgnorePatterns& excludes);

// Walks the directory at `from`, relative to the root. Directories that vanish meanwhile are left
// out.
// InvalidArgument: too many files. NotFound: the root was deleted meanwhile. FailedPrecondition: a
// directory cannot be read for another reason than its permissions; the root, for whatever reason.
// Cancelled: stop was requested.
absl::StatusOr<Walk> WalkTree(const TreeRoot& root, const std::string& from,
                              const IgnorePatterns& excludes, const WalkOptions& options);

// The one "directory" of a root that is a file: itself, under this name.
// FailedPrecondition: it may not be read.
absl::StatusOr<std::shared_ptr<const TreeDirectory>> WalkFile(const TreeRoot& root,
                                                              const std::string& name);

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_TREE_WALK_H_
