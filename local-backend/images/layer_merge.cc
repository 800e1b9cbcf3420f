#include "local-backend/images/layer_merge.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "local-backend/images/file_attributes.h"

namespace contree {
namespace {

constexpr int kMaxDepth = 256;  // each level holds a descriptor

absl::Status Trouble(absl::string_view what, const std::string& path, int error) {
  const std::string message = absl::StrCat("cannot ", what, " ", path);
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat(message, ": the disk is full"));
  }
  return absl::ErrnoToStatus(error, message);
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

struct Entry {
  std::string name;
  bool is_directory = false;
  bool is_whiteout = false;
};

// The layers never change, so paths below their roots lead where they led when they were looked at.
class Merge {
 public:
  // `layers` are open on the roots, topmost first.
  explicit Merge(const std::vector<UniqueFd>& layers) : layers_(layers) {}

  // Merges what the layers with the numbers `stack` have at `path`, a directory in each of them.
  // `hides`: it hides what lies below all layers.
  absl::Status Directory(const std::vector<size_t>& stack, const std::string& path, bool hides,
                         int target, int depth) {
    std::unordered_set<std::string> seen;
    for (size_t place = 0; place < stack.size(); ++place) {
      ASSIGN_OR_RETURN(const std::vector<Entry> entries, Read(stack[place], path));
      for (const Entry& entry : entries) {
        if (!seen.insert(entry.name).second) continue;
        if (entry.is_directory) {
          const std::vector<size_t> rest(stack.begin() + static_cast<std::ptrdiff_t>(place),
                                         stack.end());
          RETURN_IF_ERROR(Subdirectory(rest, path, entry.name, target, depth));
        } else if (!entry.is_whiteout || !hides) {
          RETURN_IF_ERROR(Link(stack[place], path, entry.name, target));
        }
      }
    }
    ASSIGN_OR_RETURN(const UniqueFd top, Open(stack.front(), path));
    RETURN_IF_ERROR(CopyAttributes(top.get(), target));
    return hides ? MarkOpaque(target) : absl::OkStatus();
  }

 private:
  absl::StatusOr<UniqueFd> Open(size_t layer, const std::string& path) const {
    UniqueFd fd(openat(layers_[layer].get(), path.empty() ? "." : path.c_str(),
                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.is_open()) return Trouble("open", path, errno);
    return fd;
  }

  absl::StatusOr<std::vector<Entry>> Read(size_t layer, const std::string& path) const {
    ASSIGN_OR_RETURN(UniqueFd fd, Open(layer, path));
    const std::unique_ptr<DIR, CloseDirectory> stream(fdopendir(fd.get()));
    if (stream == nullptr) return Trouble("read", path, errno);
    fd.Release();
    std::vector<Entry> entries;
    while (const dirent* found = readdir(stream.get())) {
      const char* const name = found->d_name;
      if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
      struct stat info;
      if (fstatat(dirfd(stream.get()), name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return Trouble("look at", absl::StrCat(path, "/", name), errno);
      }
      entries.push_back({.name = name,
                         .is_directory = S_ISDIR(info.st_mode),
                         .is_whiteout = S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0)});
    }
    return entries;
  }

  absl::Status Link(size_t layer, const std::string& path, const std::string& name, int target) {
    const std::string from = path.empty() ? name : absl::StrCat(path, "/", name);
    if (linkat(layers_[layer].get(), from.c_str(), target, name.c_str(), 0) == 0) {
      return absl::OkStatus();
    }
    if (errno != EMLINK) return Trouble("link", from, errno);
    ASSIGN_OR_RETURN(const UniqueFd directory, Open(layer, path));
    return CopyEntry(directory.get(), name.c_str(), target);
  }

  // The first of `stack` has the directory `name` in `path`.
  absl::Status Subdirectory(const std::vector<size_t>& stack, const std::string& path,
                            const std::string& name, int target, int depth) {
    const std::string here = path.empty() ? name : absl::StrCat(path, "/", name);
    if (depth >= kMaxDepth) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxDepth, " directories inside each other"));
    }
    std::vector<size_t> below;
    bool hides = false;
    for (const size_t layer : stack) {
      const UniqueFd fd(openat(layers_[layer].get(), here.c_str(),
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (fd.is_open()) {
        below.push_back(layer);
        hides = IsOpaque(fd.get());
      } else if (errno == ENOTDIR || errno == ELOOP) {
        hides = true;  // a file or a whiteout: what is further down does not show
      } else if (errno != ENOENT) {
        return Trouble("open", here, errno);
      }
      if (hides) break;
    }
    if (mkdirat(target, name.c_str(), 0700) != 0) return Trouble("make", here, errno);
    const UniqueFd made(
        openat(target, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made.is_open()) return Trouble("open", here, errno);
    return Directory(below, here, hides, made.get(), depth + 1);
  }

  const std::vector<UniqueFd>& layers_;
};

}  // namespace

absl::Status MergeLayers(const std::vector<std::string>& layers, const std::string& target) {
  std::vector<UniqueFd> roots;
  std::vector<size_t> stack;
  for (const std::string& layer : layers) {
    roots.emplace_back(open(layer.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!roots.back().is_open()) return Trouble("open", layer, errno);
    stack.push_back(stack.size());
  }
  const UniqueFd fd(open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return Trouble("open", target, errno);
  return Merge(roots).Directory(stack, "", false, fd.get(), 0);
}

}  // namespace contree
