#ifndef GATEWAY_SYNC_WATCHED_TREE_H_
#define GATEWAY_SYNC_WATCHED_TREE_H_

// A source that is synced again and again: its tree is kept and watched with inotify, so that only
// directories in which something happened are read again. Nothing runs between two looks: the
// kernel collects what happens. Where watching cannot be relied on (another file system than a
// local one, more directories than watches, events lost, mounts changed, many hard links), each
// look walks.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"
#include "gateway/sync/ignore_pattern.h"
#include "gateway/sync/tree.h"
#include "gateway/sync/tree_walk.h"

namespace contree::gateway {

struct TreeLook {
  std::shared_ptr<const Tree> tree;
  // Watched without a gap since the look of the last Settle, whose tree was the same.
  bool is_watched = false;
  bool is_walked = false;  // all of it was read for this look
  uint64_t number = 0;
};

// Thread-safe. Looks at one tree wait for each other, but not for what is done with them.
class WatchedTree {
 public:
  // The root is a directory. max_watches 0: it is not watched.
  WatchedTree(std::shared_ptr<const TreeRoot> root, IgnorePatterns excludes, int max_watches);

  // The tree as it is now. Errors as WalkTree has them.
  absl::StatusOr<TreeLook> Look(const std::stop_token& stop);

  // sync-service took the tree of this look, and no file had changed when it was read.
  void Settle(const TreeLook& look);

  const TreeRoot& root() const { return *root_; }
  int watches() const { return watches_; }

 private:
  struct Changes {
    std::set<std::string> directories;  // to be read again
    // Of other directories: files that are there as before, and changed.
    std::map<std::string, std::set<std::string>> files;
    std::set<std::string> replaced;  // directories that are not what they were
  };

  absl::StatusOr<std::shared_ptr<const Tree>> WalkAll(const std::stop_token& stop)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: it can no longer be told what changed.
  absl::StatusOr<bool> Update(const std::stop_token& stop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ReadEvents(Changes& changes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sets whether something is different. False: as Update.
  absl::StatusOr<bool> ReadAgain(const std::string& path, const std::stop_token& stop,
                                 bool& is_different) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same where only these files changed.
  absl::StatusOr<bool> LookAgain(const std::string& path, const std::set<std::string>& names,
                                 const std::stop_token& stop, bool& is_different)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Keep(Walk walk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void StopWatching() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Gather() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const TreeRoot> root_;
  const IgnorePatterns excludes_;
  std::atomic<int> watches_{0};

  absl::Mutex mutex_;
  int max_watches_ ABSL_GUARDED_BY(mutex_);   // 0 once watching proved useless
  UniqueFd inotify_ ABSL_GUARDED_BY(mutex_);  // open while it is watched
  UniqueFd mounts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, WalkedDirectory> directories_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<int, std::string> path_by_watch_ ABSL_GUARDED_BY(mutex_);
  // Directories with files whose changes watching does not show, and with young ones.
  std::vector<std::string> with_other_names_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> with_young_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Tree> tree_ ABSL_GUARDED_BY(mutex_);

  uint64_t looks_ ABSL_GUARDED_BY(mutex_) = 0;
  // The first look of this watch: what older ones found does not count.
  uint64_t watched_since_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string settled_digest_ ABSL_GUARDED_BY(mutex_);
  // The last look that saw something happen to a file that was too young for its stat to show it;
  // 0: what was settled is not in doubt.
  uint64_t doubted_at_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_WATCHED_TREE_H_
