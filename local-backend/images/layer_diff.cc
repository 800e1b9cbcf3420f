#include "local-backend/images/layer_diff.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/overlay.h"

namespace contree {
namespace {

constexpr size_t kCompareSize = 128 * 1024;
constexpr char kOverlayPrefix[] = "user.overlay.";
constexpr char kOpaque[] = "user.overlay.opaque";
constexpr char kWhiteout[] = "user.overlay.whiteout";
constexpr int kMaxDepth = 4000;  // a path of the kernel is no longer

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string ThroughProc(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

bool HasAttribute(int fd, const char* name) { return fgetxattr(fd, name, nullptr, 0) >= 0; }

// All extended attributes but those of the overlay itself.
std::map<std::string, std::string> Attributes(const std::string& path) {
  std::map<std::string, std::string> attributes;
  std::string names(XATTR_LIST_MAX, '\0');
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  if (size <= 0) return attributes;
  names.resize(static_cast<size_t>(size));
  for (absl::string_view name : absl::StrSplit(names, '\0', absl::SkipEmpty())) {
    if (absl::StartsWith(name, kOverlayPrefix)) continue;
    std::string value(XATTR_SIZE_MAX, '\0');
    const std::string key(name);
    const ssize_t length = lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
    value.resize(length < 0 ? 0 : static_cast<size_t>(length));
    attributes[key] = value;
  }
  return attributes;
}

class Comparison {
 public:
  // `is_brief`: the first change ends it, and what comes after is not counted.
  explicit Comparison(bool is_brief) : is_brief_(is_brief) {}

  absl::StatusOr<LayerDiff> Run(int upper, int image) {
    RETURN_IF_ERROR(Compare(upper, image, 0));
    return diff_;
  }

 private:
  // `image` is -1 where the image has no such directory.
  absl::Status Compare(int upper, int image, int depth) {
    if (depth > kMaxDepth) return absl::ResourceExhaustedError("the file tree is too deep");
    if (image < 0 || HasAttribute(upper, kOpaque)) diff_.changed = true;
    const Directory directory(fdopendir(openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (directory == nullptr)
      return absl::ErrnoToStatus(errno, "cannot read a directory of the run");
    while (const dirent* entry = readdir(directory.get())) {
      if (is_brief_ && diff_.changed) break;
      const char* name = entry->d_name;
      if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
      RETURN_IF_ERROR(CompareEntry(upper, image, name, depth));
    }
    return absl::OkStatus();
  }

  absl::Status CompareEntry(int upper, int image, const char* name, int depth) {
    struct stat ours;
    if (fstatat(upper, name, &ours, AT_SYMLINK_NOFOLLOW) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", name));
    }
    struct stat theirs;
    const bool known = image >= 0 && fstatat(image, name, &theirs, AT_SYMLINK_NOFOLLOW) == 0;
    ++diff_.size.entries;
    // Deleted. (What was made and deleted again leaves no trace.)
    if (S_ISCHR(ours.st_mode) && ours.st_rdev == makedev(0, 0)) {
      diff_.changed |= known;
      return absl::OkStatus();
    }
    if (S_ISREG(ours.st_mode)) {
      diff_.size.file_bytes += ours.st_size;
      diff_.bytes += std::min<int64_t>(ours.st_size, ours.st_blocks * 512);
    }
    if (S_ISDIR(ours.st_mode)) {
      const UniqueFd our_directory(
          openat(upper, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!our_directory.is_open())
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", name));
      // Mount points that the sandbox needs: made in an image without them, they are no change.
      if (depth == 0 && !known && (strcmp(name, "proc") == 0 || strcmp(name, "dev") == 0) &&
          rmdir(absl::StrCat(ThroughProc(upper), "/", name).c_str()) == 0) {
        --diff_.size.entries;
        return absl::OkStatus();
      }
      UniqueFd their_directory;
      if (known && S_ISDIR(theirs.st_mode)) {
        their_directory.Reset(openat(image, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      }
      if (!known || !SameMetadata(ours, theirs) || !SameAttributes(upper, image, name))
        diff_.changed = true;
      if (is_brief_ && diff_.changed) return absl::OkStatus();
      return Compare(our_directory.get(), their_directory.get(), depth + 1);
    }
    if (diff_.changed || (known && IsSameInode(ours, theirs))) return absl::OkStatus();
    ASSIGN_OR_RETURN(const bool same, known ? SameFile(upper, image, name, ours, theirs)
                                            : absl::StatusOr<bool>(false));
    diff_.changed = !same;
    return absl::OkStatus();
  }

  // An overlay shows a file under the number that it has in its layer, and all layers are on one
  // file system.
  static bool IsSameInode(const struct stat& ours, const struct stat& theirs) {
    return ours.st_ino == theirs.st_ino && ours.st_ctim.tv_sec == theirs.st_ctim.tv_sec &&
           ours.st_ctim.tv_nsec == theirs.st_ctim.tv_nsec && SameMetadata(ours, theirs);
  }

  static bool SameMetadata(const struct stat& ours, const struct stat& theirs) {
    return ours.st_mode == theirs.st_mode && ours.st_uid == theirs.st_uid &&
           ours.st_gid == theirs.st_gid;
  }

  static bool SameAttributes(int upper, int image, const char* name) {
    return Attributes(absl::StrCat(ThroughProc(upper), "/", name)) ==
           Attributes(absl::StrCat(ThroughProc(image), "/", name));
  }

  static absl::StatusOr<bool> SameFile(int upper, int image, const char* name,
                                       const struct stat& ours, const struct stat& theirs) {
    if (!SameMetadata(ours, theirs) || !SameAttributes(upper, image, name)) return false;
    if (S_ISLNK(ours.st_mode)) {
      char our_target[PATH_MAX];
      char their_target[PATH_MAX];
      const ssize_t our_size = readlinkat(upper, name, our_target, sizeof our_target);
      const ssize_t their_size = readlinkat(image, name, their_target, sizeof their_target);
      return our_size >= 0 && our_size == their_size &&
             memcmp(our_target, their_target, static_cast<size_t>(our_size)) == 0;
    }
    if (!S_ISREG(ours.st_mode)) return ours.st_rdev == theirs.st_rdev;
    if (ours.st_size != theirs.st_size) return false;
    const UniqueFd our_file(openat(upper, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    const UniqueFd their_file(openat(image, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!our_file.is_open() || !their_file.is_open()) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", name));
    }
    if (HasAttribute(our_file.get(), kWhiteout)) return false;
    std::string our_bytes(kCompareSize, '\0');
    std::string their_bytes(kCompareSize, '\0');
    for (off_t offset = 0; offset < ours.st_size;) {
      const ssize_t got = pread(our_file.get(), our_bytes.data(), kCompareSize, offset);
      if (got <= 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", name));
      for (ssize_t read = 0; read < got;) {
        const ssize_t n = pread(their_file.get(), their_bytes.data() + read,
                                static_cast<size_t>(got - read), offset + read);
        if (n <= 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", name));
        read += n;
      }
      if (memcmp(our_bytes.data(), their_bytes.data(), static_cast<size_t>(got)) != 0) return false;
      offset += got;
    }
    return true;
  }

  const bool is_brief_;
  LayerDiff diff_;
};

absl::StatusOr<LayerDiff> Diff(const std::string& upper, const std::vector<std::string>& layers,
                               const std::string& empty_directory, bool is_brief) {
  const UniqueFd upper_fd(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!upper_fd.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", upper));
  ASSIGN_OR_RETURN(
      const UniqueFd image,
      MountOverlay(
          {.layers = layers, .upper = "", .work = "", .empty_directory = empty_directory}));
  struct stat ours;
  struct stat theirs;
  if (fstat(upper_fd.get(), &ours) != 0 || fstat(image.get(), &theirs) != 0) {
    return absl::ErrnoToStatus(errno, "cannot compare the root directories");
  }
  ASSIGN_OR_RETURN(LayerDiff diff, Comparison(is_brief).Run(upper_fd.get(), image.get()));
  diff.changed |= ours.st_mode != theirs.st_mode || ours.st_uid != theirs.st_uid ||
                  ours.st_gid != theirs.st_gid ||
                  Attributes(ThroughProc(upper_fd.get())) != Attributes(ThroughProc(image.get()));
  return diff;
}

}  // namespace

absl::StatusOr<LayerDiff> CompareWithLayers(const std::string& upper,
                                            const std::vector<std::string>& layers,
                                            const std::string& empty_directory) {
  return Diff(upper, layers, empty_directory, /*is_brief=*/false);
}

absl::StatusOr<bool> ChangesImage(const std::string& layer, const std::vector<std::string>& layers,
                                  const std::string& empty_directory) {
  ASSIGN_OR_RETURN(const LayerDiff diff, Diff(layer, layers, empty_directory, /*is_brief=*/true));
  return diff.changed;
}

}  // namespace contree
