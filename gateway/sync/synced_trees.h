#ifndef GATEWAY_SYNC_SYNCED_TREES_H_
#define GATEWAY_SYNC_SYNCED_TREES_H_

// The sources that were synced last, so that they are watched from one sync to the next.

#include <list>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "gateway/sync/ignore_pattern.h"
#include "gateway/sync/tree.h"
#include "gateway/sync/watched_tree.h"

namespace contree::gateway {

// Thread-safe.
class SyncedTrees {
 public:
  // is_watching false: every look at a tree walks it.
  explicit SyncedTrees(bool is_watching);

  // The tree of this directory without what is excluded; the same one as long as it is in use and
  // its path leads to the same directory. Each tenant has its own: what one has synced, another one
  // has not.
  std::shared_ptr<WatchedTree> Find(absl::string_view tenant, std::shared_ptr<const TreeRoot> root,
                                    const IgnorePatterns& excludes);

 private:
  struct Kept {
    std::string key;
    std::shared_ptr<WatchedTree> tree;
  };

  // For all trees together; half of what the user may have at most: other programs watch, too.
  const int max_watches_;
  absl::Mutex mutex_;
  std::list<Kept> kept_ ABSL_GUARDED_BY(mutex_);  // the last used first
};

// Names this machine in SyncBegin.source: its machine id, or its host name.
std::string MachineName();

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_SYNCED_TREES_H_
