#include "gateway/sync/tree_walk.h"

#include <dirent.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status_macros.h"
#include "common/text/utf8.h"
#include "gateway/sync/tree_entry.h"

namespace contree::gateway {
namespace {

constexpr size_t kEntriesBytes = 64 << 10;
constexpr uint32_t kWatchMask = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_CREATE | IN_DELETE |
                                IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                                IN_ONLYDIR | IN_EXCL_UNLINK;

// As getdents64 writes it.
struct DirectoryEntry {
  ino64_t inode;
  off64_t offset;
  unsigned short size;
  unsigned char type;
  char name[];
};

bool IsDots(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

class Walker {
 public:
  Walker(const TreeRoot& root, const IgnorePatterns& excludes, const WalkOptions& options)
      : root_(root),
        excludes_(excludes),
        options_(options),
        root_is_local_(FactsOfFileSystem(root.fd.get()).is_local) {}

  absl::StatusOr<Walk> Run(const std::string& from) {
    {
      absl::MutexLock lock(&mutex_);
      open_.push_back(from);
    }
    std::vector<std::thread> others;
    for (int i = 1; i < options_.threads; ++i) others.emplace_back([this] { Work(); });
    Work();
    for (std::thread& other : others) other.join();
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(error_);
    if (struct stat info; from.empty() && fstat(root_.fd.get(), &info) == 0 && info.st_nlink == 0) {
      return absl::NotFoundError(absl::StrCat("'", root_.path, "' was deleted while it was read"));
    }
    std::sort(done_.begin(), done_.end(), [](const WalkedDirectory& a, const WalkedDirectory& b) {
      return a.directory->path < b.directory->path;
    });
    return Walk{.directories = std::move(done_),
                .is_watched = options_.inotify_fd >= 0 && all_watched_};
  }

  absl::StatusOr<ReadDirectory> RunOne(const std::string& path) {
    const auto scratch = std::make_unique<Scratch>();
    ASSIGN_OR_RETURN(WalkedDirectory walked, Read(path, *scratch));
    return ReadDirectory{.directory = std::move(walked),
                         .directories = std::move(scratch->directories)};
  }

 private:
  // What one thread reuses from one directory to the next.
  struct Scratch {
    TreeDirectoryBuilder builder;
    std::vector<std::string> directories;
    std::string path;
    alignas(DirectoryEntry) char entries[kEntriesBytes];
  };

  void Work() {
    const auto scratch = std::make_unique<Scratch>();
    std::string path;
    while (Take(path)) {
      scratch->directories.clear();
      absl::StatusOr<WalkedDirectory> walked = Read(path, *scratch);
      Return(std::move(walked), scratch->directories);
    }
  }

  bool MayTake() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !open_.empty() || reading_ == 0 || !error_.ok();
  }

  // False: nothing is left, or the walk failed.
  bool Take(std::string& path) {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &Walker::MayTake));
    if (open_.empty() || !error_.ok()) return false;
    path = std::move(open_.back());
    open_.pop_back();
    ++reading_;
    return true;
  }

  void Return(absl::StatusOr<WalkedDirectory> walked, std::vector<std::string>& directories) {
    absl::MutexLock lock(&mutex_);
    --reading_;
    if (!walked.ok()) {
      error_.Update(walked.status());
      return;
    }
    for (std::string& directory : directories) open_.push_back(std::move(directory));
    if (walked->directory == nullptr) return;  // it vanished
    // What makes an omitted one readable shows in its parent, or in the table of mounts.
    if (walked->watch < 0 && !walked->directory->is_omitted) all_watched_ = false;
    files_ += walked->directory->files();
    if (files_ > kMaxTreeFiles) {
      error_.Update(absl::InvalidArgumentError(
          absl::StrCat("'", root_.path, "' holds more than ", kMaxTreeFiles,
                       " files: name the directory that is needed, or exclude what is not, such as "
                       "node_modules/")));
      return;
    }
    done_.push_back(*std::move(walked));
  }

  absl::StatusOr<WalkedDirectory> Read(const std::string& path, Scratch& scratch) {
    if (options_.stop.stop_requested()) return absl::CancelledError("the sync was cancelled");
    const UniqueFd fd = OpenTreeDirectory(root_, path);
    struct stat info;
    if (!fd.is_open() || fstat(fd.get(), &info) != 0) return Unopened(path, errno);
    bool is_local = root_is_local_;
    if (info.st_dev != root_.device || path.empty()) {
      const FileSystemFacts facts = FactsOfFileSystem(fd.get());
      is_local = facts.is_local;
      if (facts.is_of_kernel) {
        if (path.empty()) {
          return absl::FailedPreconditionError(absl::StrCat(
              "'", root_.path, "' is made up by the kernel: there are no files to sync"));
        }
        return Omitted(path, Omission::kKernelFileSystem);
      }
    }
    WalkedDirectory walked{.directory = nullptr, .watch = is_local ? Watch(fd.get()) : -1};
    Omissions omissions;
    for (;;) {
      const long size = syscall(SYS_getdents64, fd.get(), scratch.entries, sizeof scratch.entries);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno != ENOENT) {
        return absl::FailedPreconditionError(absl::StrCat(
            "cannot read the directory '", JoinTreePath(root_.path, path), "': ", strerror(errno)));
      }
      if (size <= 0) break;
      for (long at = 0; at < size;) {
        const auto* entry = reinterpret_cast<const DirectoryEntry*>(scratch.entries + at);
        at += entry->size;
        if (!IsDots(entry->name)) {
          Take(fd.get(), path, entry->name, entry->type, is_local, scratch, omissions);
        }
      }
    }
    ASSIGN_OR_RETURN(walked.directory, scratch.builder.Build(path, std::move(omissions)));
    return walked;
  }

  void Take(int directory_fd, const std::string& directory, const char* name, unsigned char type,
            bool is_local, Scratch& scratch, Omissions& omissions) {
    scratch.path.assign(directory);
    if (!directory.empty()) scratch.path.push_back('/');
    scratch.path.append(name);
    TreeEntry entry;
    if (type == DT_DIR) {
      entry.kind = TreeEntry::Kind::kDirectory;
    } else if (type != DT_UNKNOWN && excludes_.Excludes(scratch.path, /*is_directory=*/false)) {
      return;
    } else {
      entry = LookAt(root_, directory_fd, directory, name, is_local);
    }
    const bool is_directory = entry.kind == TreeEntry::Kind::kDirectory;
    if ((is_directory || type == DT_UNKNOWN) && excludes_.Excludes(scratch.path, is_directory)) {
      return;
    }
    if (entry.kind == TreeEntry::Kind::kGone) return;
    if (!IsUtf8(name)) {
      omissions.Add(Omission::kNameNotUtf8, scratch.path);
    } else if (is_directory) {
      scratch.directories.push_back(scratch.path);
    } else if (entry.kind == TreeEntry::Kind::kFile) {
      scratch.builder.Add(name, entry.row);
    } else {
      omissions.Add(entry.omission, scratch.path);
    }
  }

  absl::StatusOr<WalkedDirectory> Unopened(const std::string& path, int error) {
    switch (error) {
      case ENOENT:
      case ENOTDIR:
      case ELOOP:  // replaced by a link since its directory was read
        if (!path.empty()) return WalkedDirectory{};
        break;
      case EACCES:
      case EPERM:
        if (!path.empty()) return Omitted(path, Omission::kUnreadableDirectory);
        break;
      case ENAMETOOLONG:
        return Omitted(path, Omission::kPathTooLong);
      default:
        break;
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot read the directory '", root_.path, path.empty() ? "" : "/", path,
        "': ", strerror(error),
        error == EMFILE || error == ENFILE ? "; try again when fewer files are open" : ""));
  }

  // Stands for a directory that is not carried, so that its omission goes where it goes.
  static WalkedDirectory Omitted(const std::string& path, Omission omission) {
    auto directory = std::make_shared<TreeDirectory>();
    directory->path = path;
    directory->is_omitted = true;
    directory->omissions.Add(omission, path);
    return {.directory = std::move(directory)};
  }

  // -1: it is not watched.
  int Watch(int fd) {
    if (options_.inotify_fd < 0 || watches_.fetch_add(1) >= options_.max_watches) return -1;
    return inotify_add_watch(options_.inotify_fd, absl::StrCat("/proc/self/fd/", fd).c_str(),
                             kWatchMask);
  }

  const TreeRoot& root_;
  const IgnorePatterns& excludes_;
  const WalkOptions& options_;
  const bool root_is_local_;
  std::atomic<int> watches_{0};
  absl::Mutex mutex_;
  std::vector<std::string> open_ ABSL_GUARDED_BY(mutex_);  // found, not yet read
  int reading_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t files_ ABSL_GUARDED_BY(mutex_) = 0;
  bool all_watched_ ABSL_GUARDED_BY(mutex_) = true;
  std::vector<WalkedDirectory> done_ ABSL_GUARDED_BY(mutex_);
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<ReadDirectory> ReadTreeDirectory(const TreeRoot& root, const std::string& path,
                                                const IgnorePatterns& excludes) {
  const WalkOptions unwatched;
  return Walker(root, excludes, unwatched).RunOne(path);
}

absl::StatusOr<std::shared_ptr<const TreeDirectory>> LookAtFilesAgain(
    const TreeRoot& root, const TreeDirectory& before, const std::set<std::string>& names,
    const IgnorePatterns& excludes) {
  if (before.is_omitted || !before.omissions.all().empty() || !before.links.empty() ||
      !before.other_names.empty()) {
    return nullptr;
  }
  const UniqueFd fd = OpenTreeDirectory(root, before.path);
  if (!fd.is_open()) return nullptr;
  size_t found = 0;
  size_t excluded = 0;
  TreeDirectoryBuilder builder;
  int file = 0;
  for (const absl::string_view name : before.Names()) {
    FileRow row = before.Row(file++);
    if (const auto changed = names.find(std::string(name)); changed != names.end()) {
      const TreeEntry entry = LookAt(root, fd.get(), before.path, changed->c_str(), true);
      if (entry.kind != TreeEntry::Kind::kFile || entry.row.is_link || entry.row.has_other_names)
        return nullptr;
      row = entry.row;
      ++found;
    }
    builder.Add(name, row);
  }
  for (const std::string& name : names) {
    if (excludes.Excludes(JoinTreePath(before.path, name), /*is_directory=*/false)) ++excluded;
  }
  if (found + excluded != names.size()) return nullptr;
  return builder.Build(before.path, {});
}

absl::StatusOr<Walk> WalkTree(const TreeRoot& root, const std::string& from,
                              const IgnorePatterns& excludes, const WalkOptions& options) {
  return Walker(root, excludes, options).Run(from);
}

absl::StatusOr<std::shared_ptr<const TreeDirectory>> WalkFile(const TreeRoot& root,
                                                              const std::string& name) {
  if (!IsUtf8(name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the name of '", root.path, "' is not UTF-8: give a destination with a name for it"));
  }
  const int64_t now = NowNanoseconds();
  struct stat info;
  if (fstat(root.fd.get(), &info) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot look at '", root.path, "': ", strerror(errno)));
  }
  TreeDirectoryBuilder builder;
  builder.Add(name, RowOf(info, now, FactsOfFileSystem(root.fd.get()).is_local));
  return builder.Build("", {});
}

}  // namespace contree::gateway
