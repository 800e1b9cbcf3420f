#include "gateway/sync/synced_trees.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"

namespace contree::gateway {
namespace {

constexpr size_t kMaxTrees = 8;
constexpr size_t kMaxFactBytes = 4096;

int HalfOfTheUsersWatches() {
  const auto text = ReadFile("/proc/sys/fs/inotify/max_user_watches", kMaxFactBytes);
  int watches = 0;
  if (!text.ok() || !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &watches)) return 0;
  return watches / 2;
}

}  // namespace

SyncedTrees::SyncedTrees(bool is_watching)
    : max_watches_(is_watching ? HalfOfTheUsersWatches() : 0) {}

std::shared_ptr<WatchedTree> SyncedTrees::Find(absl::string_view tenant,
                                               std::shared_ptr<const TreeRoot> root,
                                               const IgnorePatterns& excludes) {
  if (max_watches_ == 0) return std::make_shared<WatchedTree>(std::move(root), excludes, 0);
  const absl::string_view end("\0", 1);
  const std::string key = absl::StrCat(tenant, end, root->path, end, excludes.key());
  absl::MutexLock lock(&mutex_);
  int watches = 0;
  for (auto kept = kept_.begin(); kept != kept_.end();) {
    const TreeRoot& known = kept->tree->root();
    if (kept->key != key) {
      watches += kept->tree->watches();
      ++kept;
    } else if (known.device == root->device && known.inode == root->inode) {
      kept_.splice(kept_.begin(), kept_, kept);
      return kept_.front().tree;
    } else {
      kept = kept_.erase(kept);  // another directory has its name now
    }
  }
  auto tree =
      std::make_shared<WatchedTree>(std::move(root), excludes, std::max(0, max_watches_ - watches));
  kept_.push_front({.key = key, .tree = tree});
  if (kept_.size() > kMaxTrees) kept_.pop_back();
  return tree;
}

std::string MachineName() {
  if (const auto id = ReadFile("/etc/machine-id", kMaxFactBytes); id.ok()) {
    if (const auto text = absl::StripAsciiWhitespace(*id); !text.empty()) return std::string(text);
  }
  char name[HOST_NAME_MAX + 1] = {};
  gethostname(name, HOST_NAME_MAX);
  return name;
}

}  // namespace contree::gateway
