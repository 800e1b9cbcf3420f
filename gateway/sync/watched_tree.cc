#include "gateway/sync/watched_tree.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/status/status_macros.h"

namespace contree::gateway {
namespace {

constexpr size_t kEventBytes = 64 << 10;
// With more files whose changes watching does not show, walking is as quick.
constexpr size_t kMaxOtherNames = 5'000;

// What happens to a file that stays where it is, under its name.
constexpr uint32_t kFileChanged = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;

// Whether something was mounted or unmounted since the last question.
bool MountsChanged(int mounts) {
  struct pollfd mounts_poll = {.fd = mounts, .events = POLLPRI, .revents = 0};
  return poll(&mounts_poll, 1, 0) != 0;
}

}  // namespace

WatchedTree::WatchedTree(std::shared_ptr<const TreeRoot> root, IgnorePatterns excludes,
                         int max_watches)
    : root_(std::move(root)), excludes_(std::move(excludes)), max_watches_(max_watches) {}

absl::StatusOr<TreeLook> WatchedTree::Look(const std::stop_token& stop) {
  absl::MutexLock lock(&mutex_);
  ++looks_;
  bool is_current = false;
  if (inotify_.is_open()) {
    absl::StatusOr<bool> updated = Update(stop);
    if (!updated.ok()) StopWatching();  // half of what happened may be read
    RETURN_IF_ERROR(updated.status());
    is_current = *updated;
  }
  TreeLook look{.tree = nullptr, .is_walked = !is_current, .number = looks_};
  if (is_current) {
    look.tree = tree_;
    look.is_watched = doubted_at_ == 0 && tree_->digest == settled_digest_;
  } else {
    ASSIGN_OR_RETURN(look.tree, WalkAll(stop));
  }
  return look;
}

void WatchedTree::Settle(const TreeLook& look) {
  absl::MutexLock lock(&mutex_);
  if (!inotify_.is_open() || look.number < watched_since_) return;
  settled_digest_ = look.tree->digest;
  // Unless it was trusted, all that was young was read after the look.
  if (!look.is_watched && look.number >= doubted_at_) doubted_at_ = 0;
}

absl::StatusOr<std::shared_ptr<const Tree>> WatchedTree::WalkAll(const std::stop_token& stop) {
  StopWatching();
  if (max_watches_ > 0) {
    mounts_.Reset(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    inotify_.Reset(mounts_.is_open() ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1);
  }
  watched_since_ = looks_;
  absl::StatusOr<Walk> walk =
      WalkTree(*root_, "", excludes_,
               {.inotify_fd = inotify_.get(), .max_watches = max_watches_, .stop = stop});
  if (!walk.ok()) StopWatching();
  RETURN_IF_ERROR(walk.status());
  if (!walk->is_watched) {
    max_watches_ = 0;  // it will not go better next time
  } else if (Keep(*walk)) {
    Gather();
    size_t other_names = 0;
    for (const std::string& path : with_other_names_) {
      other_names += directories_.at(path).directory->other_names.size();
    }
    if (other_names <= kMaxOtherNames) return tree_;
    max_watches_ = 0;
  }
  StopWatching();
  std::vector<std::shared_ptr<const TreeDirectory>> directories;
  directories.reserve(walk->directories.size());
  for (WalkedDirectory& walked : walk->directories) {
    directories.push_back(std::move(walked.directory));
  }
  return MakeTree(root_, std::move(directories));
}

absl::StatusOr<bool> WatchedTree::Update(const std::stop_token& stop) {
  Changes changes;
  if (MountsChanged(mounts_.get()) || !ReadEvents(changes)) return false;
  for (const std::string& path : changes.replaced) Forget(path);
  changes.directories.insert(with_other_names_.begin(), with_other_names_.end());
  bool is_different = !changes.replaced.empty();
  const auto doubt = [this](const std::string& path) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = directories_.find(path);
    if (found != directories_.end() && !found->second.directory->listing.young().empty())
      doubted_at_ = looks_;
  };
  for (const std::string& path : changes.directories) {
    ASSIGN_OR_RETURN(const bool is_watched, ReadAgain(path, stop, is_different));
    if (!is_watched) return false;
    doubt(path);
  }
  for (const auto& [path, names] : changes.files) {
    if (changes.directories.contains(path)) continue;
    ASSIGN_OR_RETURN(const bool is_watched, LookAgain(path, names, stop, is_different));
    if (!is_watched) return false;
    doubt(path);
  }
  if (!is_different) return true;
  // The digest is another one anyway: what has grown old since says so.
  for (const std::string& path : with_young_) {
    const auto found = directories_.find(path);
    if (found == directories_.end()) continue;
    const TreeDirectory& directory = *found->second.directory;
    const std::vector<absl::string_view> names = directory.Names();
    std::set<std::string> young;
    for (const uint32_t file : directory.listing.young()) young.emplace(names[file]);
    ASSIGN_OR_RETURN(const bool is_watched, LookAgain(path, young, stop, is_different));
    if (!is_watched) return false;
  }
  Gather();
  return true;
}

bool WatchedTree::ReadEvents(Changes& changes) {
  alignas(inotify_event) char buffer[kEventBytes];
  for (;;) {
    const ssize_t size = read(inotify_.get(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return true;
    if (size <= 0) return false;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof *event + event->len);
      if ((event->mask & (IN_Q_OVERFLOW | IN_UNMOUNT)) != 0) return false;
      const auto watched = path_by_watch_.find(event->wd);
      if (watched == path_by_watch_.end()) continue;  // of one that was forgotten
      const std::string& path = watched->second;
      if (event->len == 0) {
        // What happens to a directory itself, its parent's watch tells; the root has none.
        if (path.empty() && (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0) {
          return false;
        }
        if (path.empty()) changes.directories.insert(path);
        if ((event->mask & IN_IGNORED) != 0) path_by_watch_.erase(watched);
        continue;
      }
      if ((event->mask & IN_ISDIR) == 0 && (event->mask & ~kFileChanged) == 0) {
        changes.files[path].insert(event->name);
        continue;
      }
      changes.directories.insert(path);
      if ((event->mask & IN_ISDIR) != 0) changes.replaced.insert(JoinTreePath(path, event->name));
    }
  }
}

absl::StatusOr<bool> WatchedTree::ReadAgain(const std::string& path, const std::stop_token& stop,
                                            bool& is_different) {
  const auto found = directories_.find(path);
  // Gone, or new and so read already.
  if (found == directories_.end() || found->second.directory->is_omitted) return true;
  ASSIGN_OR_RETURN(ReadDirectory read, ReadTreeDirectory(*root_, path, excludes_));
  // Where it vanished, or became another, the event that says so comes with the next look.
  if (read.directory.directory == nullptr || read.directory.directory->is_omitted) return true;
  TreeDirectory const& before = *found->second.directory;
  if (read.directory.directory->digest != before.digest || !before.omissions.all().empty() ||
      !read.directory.directory->omissions.all().empty()) {
    is_different = true;
  }
  found->second.directory = std::move(read.directory.directory);
  for (const std::string& directory : read.directories) {
    if (directories_.contains(directory)) continue;
    is_different = true;
    ASSIGN_OR_RETURN(Walk walk, WalkTree(*root_, directory, excludes_,
                                         {.threads = 1,
                                          .inotify_fd = inotify_.get(),
                                          .max_watches = max_watches_ - watches_,
                                          .stop = stop}));
    if (!walk.is_watched || !Keep(std::move(walk))) return false;
  }
  return true;
}

absl::StatusOr<bool> WatchedTree::LookAgain(const std::string& path,
                                            const std::set<std::string>& names,
                                            const std::stop_token& stop, bool& is_different) {
  const auto found = directories_.find(path);
  if (found == directories_.end()) return true;
  ASSIGN_OR_RETURN(std::shared_ptr<const TreeDirectory> changed,
                   LookAtFilesAgain(*root_, *found->second.directory, names, excludes_));
  if (changed == nullptr) return ReadAgain(path, stop, is_different);
  is_different = is_different || changed->digest != found->second.directory->digest;
  found->second.directory = std::move(changed);
  return true;
}

bool WatchedTree::Keep(Walk walk) {
  for (WalkedDirectory& walked : walk.directories) {
    const std::string path = walked.directory->path;
    if (walked.watch >= 0) {
      // The same directory under two names: one watch cannot tell which is meant.
      if (!path_by_watch_.emplace(walked.watch, path).second) return false;
      ++watches_;
    }
    directories_[path] = std::move(walked);
  }
  return true;
}

void WatchedTree::Forget(const std::string& path) {
  const auto forget = [this](std::map<std::string, WalkedDirectory>::iterator directory)
                          ABSL_NO_THREAD_SAFETY_ANALYSIS {
                            const int watch = directory->second.watch;
                            if (watch >= 0) {
                              inotify_rm_watch(inotify_.get(), watch);
                              path_by_watch_.erase(watch);
                              --watches_;
                            }
                            return directories_.erase(directory);
                          };
  if (const auto self = directories_.find(path); self != directories_.end()) forget(self);
  // '0' is what follows '/'.
  auto below = directories_.lower_bound(path + "/");
  while (below != directories_.end() && below->first < path + "0") below = forget(below);
}

void WatchedTree::StopWatching() {
  inotify_.Reset();
  mounts_.Reset();
  directories_.clear();
  path_by_watch_.clear();
  with_other_names_.clear();
  with_young_.clear();
  watches_ = 0;
  tree_ = nullptr;
  settled_digest_.clear();
  doubted_at_ = 0;
}

void WatchedTree::Gather() {
  with_other_names_.clear();
  with_young_.clear();
  std::vector<std::shared_ptr<const TreeDirectory>> directories;
  directories.reserve(directories_.size());
  for (const auto& [path, walked] : directories_) {
    directories.push_back(walked.directory);
    if (!walked.directory->other_names.empty()) with_other_names_.push_back(path);
    if (!walked.directory->listing.young().empty()) with_young_.push_back(path);
  }
  tree_ = MakeTree(root_, std::move(directories));
}

}  // namespace contree::gateway
