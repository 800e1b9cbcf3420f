#include "local-backend/images/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"

namespace contree {
namespace {

// Below this a directory is moved to the top before it is looked into.
constexpr int kMaxDepth = 64;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

class Removal {
 public:
  explicit Removal(int top) : top_(top) {}

  int first_error() const { return first_error_; }

  // Empties the directory, which it takes over.
  void Empty(int directory, int depth) {
    const std::unique_ptr<DIR, CloseDirectory> stream(fdopendir(directory));
    if (stream == nullptr) {
      Note(errno);
      close(directory);
      return;
    }
    // What is moved to the top may come behind the place where the reading of it is.
    for (bool progress = true; progress;) {
      progress = false;
      rewinddir(stream.get());
      while (const dirent* entry = readdir(stream.get())) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        progress |= RemoveEntry(dirfd(stream.get()), *entry, depth);
      }
      if (depth > 0) break;
    }
  }

 private:
  // Whether it is gone.
  bool RemoveEntry(int directory, const dirent& entry, int depth) {
    const char* const name = entry.d_name;
    if (entry.d_type != DT_DIR) {
      if (unlinkat(directory, name, 0) == 0 || errno == ENOENT) return true;
      if (errno != EISDIR && errno != EPERM) return Note(errno);
    }
    if (depth == kMaxDepth) return MoveToTop(directory, name);
    const int below = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0) return Note(errno);
    Empty(below, depth + 1);
    return unlinkat(directory, name, AT_REMOVEDIR) == 0 || Note(errno);
  }

  bool MoveToTop(int directory, const char* name) {
    if (unlinkat(directory, name, AT_REMOVEDIR) == 0) return true;
    for (int attempt = 0; attempt < 100; ++attempt) {
      const std::string place = absl::StrCat("deep-", ++moved_);
      if (renameat2(directory, name, top_, place.c_str(), RENAME_NOREPLACE) == 0) return true;
      if (errno != EEXIST) break;
    }
    return Note(errno);
  }

  bool Note(int error) {
    if (first_error_ == 0) first_error_ = error;
    return false;
  }

  const int top_;
  int64_t moved_ = 0;
  int first_error_ = 0;
};

}  // namespace

absl::Status RemoveTree(const std::string& path) {
  const UniqueFd top(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top.is_open()) {
    if (errno == ENOENT) return absl::OkStatus();
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot remove ", path));
  }
  Removal removal(top.get());
  removal.Empty(fcntl(top.get(), F_DUPFD_CLOEXEC, 0), 0);
  if (rmdir(path.c_str()) == 0) return absl::OkStatus();
  const int error = removal.first_error() != 0 ? removal.first_error() : errno;
  return absl::ErrnoToStatus(error, absl::StrCat("cannot remove all of ", path));
}

}  // namespace contree
