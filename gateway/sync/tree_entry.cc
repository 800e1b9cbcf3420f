#include "gateway/sync/tree_entry.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace contree::gateway {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// How much two changes may lie apart and still get the same timestamp: a tick of the kernel's clock
// (1 to 10 ms), with plenty to spare.
constexpr int64_t kTick = kSecond / 10;
constexpr int64_t kTickOfWholeSeconds = 2 * kSecond;
// Of file systems elsewhere neither the clock nor the precision is known.
constexpr int64_t kTickElsewhere = 3 * kSecond;

// Not in every version of linux/magic.h.
constexpr uint64_t kXfs = 0x58465342;
constexpr uint64_t kZfs = 0x2fc12fc1;
constexpr uint64_t kBcachefs = 0xca451a4e;
constexpr uint64_t kConfigfs = 0x62656570;
constexpr uint64_t kMqueue = 0x19800202;
constexpr uint64_t kFusectl = 0x65735543;

constexpr uint64_t kOfKernel[] = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC,    DEVPTS_SUPER_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
    DEBUGFS_MAGIC,    TRACEFS_MAGIC,  BPF_FS_MAGIC,       SECURITYFS_MAGIC,   SELINUX_MAGIC,
    PSTOREFS_MAGIC,   EFIVARFS_MAGIC, BINFMTFS_MAGIC,     NSFS_MAGIC,         kConfigfs,
    kMqueue,          kFusectl};
constexpr uint64_t kLocal[] = {
    EXT4_SUPER_MAGIC, kXfs, BTRFS_SUPER_MAGIC, TMPFS_MAGIC,          RAMFS_MAGIC,
    F2FS_SUPER_MAGIC, kZfs, kBcachefs,         OVERLAYFS_SUPER_MAGIC};

template <size_t size>
bool Contains(const uint64_t (&known)[size], uint64_t magic) {
  return std::find(std::begin(known), std::end(known), magic) != std::end(known);
}

int64_t Nanoseconds(const struct timespec& time) {
  // Of dates centuries away the low bits remain: they still tell versions apart.
  return static_cast<int64_t>(static_cast<uint64_t>(time.tv_sec) * kSecond +
                              static_cast<uint64_t>(time.tv_nsec));
}

UniqueFd OpenBelow(int directory, const char* path, uint64_t flags, uint64_t resolve) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve;
  for (;;) {
    UniqueFd fd(static_cast<int>(syscall(SYS_openat2, directory, path, &how, sizeof how)));
    if (fd.is_open() || errno != EINTR) return fd;
  }
}

// Whether this process may read what the mode bits do not plainly allow.
bool MayRead(int directory_fd, const char* name, const struct stat& info) {
  static const uid_t kUser = geteuid();
  if (info.st_uid == kUser ? (info.st_mode & S_IRUSR) != 0
                           : (info.st_mode & S_IRGRP) != 0 && (info.st_mode & S_IROTH) != 0) {
    return true;
  }
  return faccessat(directory_fd, name, R_OK, AT_EACCESS) == 0 || errno != EACCES;
}

// A link counts as the file behind it where that lies in the tree.
TreeEntry LookAtLink(const TreeRoot& root, absl::string_view directory, const char* name,
                     int64_t now, bool is_local) {
  const std::string path = JoinTreePath(directory, name);
  const UniqueFd target =
      OpenBelow(root.fd.get(), path.c_str(), O_PATH, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  if (!target.is_open()) {
    return {.kind = TreeEntry::Kind::kOmitted,
            .omission = errno == EXDEV ? Omission::kLinkOutside : Omission::kBrokenLink};
  }
  struct stat info;
  if (fstat(target.get(), &info) != 0) return {};
  if (S_ISDIR(info.st_mode)) {
    return {.kind = TreeEntry::Kind::kOmitted, .omission = Omission::kLinkToDirectory};
  }
  if (!S_ISREG(info.st_mode)) {
    return {.kind = TreeEntry::Kind::kOmitted, .omission = Omission::kLinkToSpecial};
  }
  const std::string target_path = absl::StrCat("/proc/self/fd/", target.get());
  if (!MayRead(AT_FDCWD, target_path.c_str(), info)) {
    return {.kind = TreeEntry::Kind::kOmitted, .omission = Omission::kUnreadableFile};
  }
  TreeEntry entry{.kind = TreeEntry::Kind::kFile, .row = RowOf(info, now, is_local)};
  entry.row.is_link = true;
  entry.row.has_other_names = true;
  return entry;
}

}  // namespace

FileSystemFacts FactsOfFileSystem(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) != 0) return {};
  const auto magic = static_cast<uint64_t>(info.f_type) & 0xffffffff;
  return {.is_of_kernel = Contains(kOfKernel, magic), .is_local = Contains(kLocal, magic)};
}

int64_t NowNanoseconds() {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return Nanoseconds(now);
}

FileRow RowOf(const struct stat& info, int64_t looked_at_ns, bool is_local) {
  FileRow row{.mode = info.st_mode & 07777,
              .size = info.st_size,
              .mtime_ns = Nanoseconds(info.st_mtim),
              .ctime_ns = Nanoseconds(info.st_ctim),
              .inode = info.st_ino};
  int64_t tick = kTick;
  if (!is_local) {
    tick = kTickElsewhere;
  } else if (info.st_ctim.tv_nsec == 0) {
    tick = kTickOfWholeSeconds;  // as file systems have it that keep no more
  }
  // A ctime of the future, after the clock was set back, is young as well.
  row.is_young = row.ctime_ns > looked_at_ns - tick;
  row.has_other_names = info.st_nlink > 1;
  return row;
}

TreeEntry LookAt(const TreeRoot& root, int directory_fd, absl::string_view directory,
                 const char* name, bool is_local) {
  const int64_t now = NowNanoseconds();
  struct stat info;
  if (fstatat(directory_fd, name, &info, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    if (errno != EACCES) return {};
    // A directory that may be listed but not entered.
    return {.kind = TreeEntry::Kind::kOmitted, .omission = Omission::kUnreadableFile};
  }
  if (S_ISDIR(info.st_mode)) return {.kind = TreeEntry::Kind::kDirectory};
  if (S_ISLNK(info.st_mode)) return LookAtLink(root, directory, name, now, is_local);
  if (!S_ISREG(info.st_mode)) {
    return {.kind = TreeEntry::Kind::kOmitted, .omission = Omission::kSpecialFile};
  }
  if (!MayRead(directory_fd, name, info)) {
    return {.kind = TreeEntry::Kind::kOmitted, .omission = Omission::kUnreadableFile};
  }
  return {.kind = TreeEntry::Kind::kFile, .row = RowOf(info, now, is_local)};
}

UniqueFd OpenTreeDirectory(const TreeRoot& root, const std::string& path) {
  return OpenBelow(root.fd.get(), path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY,
                   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

UniqueFd OpenTreeFile(const TreeRoot& root, const std::string& path, bool is_link) {
  if (!root.is_directory) {
    return UniqueFd(open(absl::StrCat("/proc/self/fd/", root.fd.get()).c_str(),
                         O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  }
  const uint64_t resolve =
      is_link ? RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
  // Reading leaves no trace in the tree, where the file is the user's own.
  UniqueFd fd = OpenBelow(root.fd.get(), path.c_str(), kFlags | O_NOATIME, resolve);
  if (!fd.is_open() && errno == EPERM) fd = OpenBelow(root.fd.get(), path.c_str(), kFlags, resolve);
  return fd;
}

}  // namespace contree::gateway
