#include "local-backend/images/file_attributes.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr char kOpaque[] = "user.overlay.opaque";
constexpr absl::string_view kMarks = "user.overlay.";
// What a command set under the name of a mark is stored like this, and is an attribute as any.
constexpr absl::string_view kEscaped = "user.overlay.overlay.";
constexpr size_t kCopySize = 1 << 20;

absl::Status CopyBytes(int from, int to) {
  while (true) {
    const ssize_t copied = copy_file_range(from, nullptr, to, nullptr, kCopySize, 0);
    if (copied == 0) return absl::OkStatus();
    if (copied < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "cannot copy a file");
  }
}

}  // namespace

bool IsOpaque(int directory) {
  char value = 0;
  return fgetxattr(directory, kOpaque, &value, 1) == 1 && value == 'y';
}

absl::Status MarkOpaque(int directory) {
  if (fsetxattr(directory, kOpaque, "y", 1, 0) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "cannot mark a directory as opaque");
}

ExtendedAttributes ReadExtendedAttributes(int fd) {
  ExtendedAttributes attributes;
  const ssize_t size = flistxattr(fd, nullptr, 0);
  if (size <= 0) return attributes;
  std::string names(static_cast<size_t>(size), '\0');
  const ssize_t got = flistxattr(fd, names.data(), names.size());
  names.resize(static_cast<size_t>(std::max<ssize_t>(0, got)));
  for (absl::string_view entry : absl::StrSplit(names, '\0', absl::SkipEmpty())) {
    if (absl::StartsWith(entry, kMarks) && !absl::StartsWith(entry, kEscaped)) continue;
    const std::string name(entry);
    std::string value(XATTR_SIZE_MAX, '\0');
    const ssize_t length = fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (length < 0) continue;
    attributes[name] = value.substr(0, static_cast<size_t>(length));
  }
  return attributes;
}

absl::Status SetExtendedAttributes(int fd, const ExtendedAttributes& attributes) {
  for (const auto& [name, value] : attributes) {
    if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot set the attribute ", name));
    }
  }
  return absl::OkStatus();
}

absl::Status CopyAttributes(int from, int to) {
  struct stat info;
  if (fstat(from, &info) != 0) return absl::ErrnoToStatus(errno, "cannot look at a file");
  // A new owner takes set-uid bits and capabilities away: it comes first.
  if (fchown(to, info.st_uid, info.st_gid) != 0 || fchmod(to, info.st_mode & 07777) != 0) {
    return absl::ErrnoToStatus(errno, "cannot set the owner and mode of a file");
  }
  RETURN_IF_ERROR(SetExtendedAttributes(to, ReadExtendedAttributes(from)));
  const timespec times[2] = {info.st_atim, info.st_mtim};
  if (futimens(to, times) != 0) return absl::ErrnoToStatus(errno, "cannot set the times of a file");
  return absl::OkStatus();
}

absl::Status CopyEntry(int from_directory, const char* name, int to_directory) {
  const auto trouble = [name] {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot copy ", name));
  };
  struct stat info;
  if (fstatat(from_directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return trouble();
  if (S_ISREG(info.st_mode)) {
    const UniqueFd from(openat(from_directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    const UniqueFd to(openat(to_directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!from.is_open() || !to.is_open()) return trouble();
    RETURN_IF_ERROR(CopyBytes(from.get(), to.get()));
    return CopyAttributes(from.get(), to.get());
  }
  if (S_ISLNK(info.st_mode)) {
    std::string target(PATH_MAX, '\0');
    const ssize_t size = readlinkat(from_directory, name, target.data(), target.size());
    if (size < 0) return trouble();
    target.resize(static_cast<size_t>(size));
    if (symlinkat(target.c_str(), to_directory, name) != 0) return trouble();
  } else if (mknodat(to_directory, name, info.st_mode, info.st_rdev) != 0 ||
             fchmodat(to_directory, name, info.st_mode & 07777, 0) != 0) {
    return trouble();
  }
  const timespec times[2] = {info.st_atim, info.st_mtim};
  if (fchownat(to_directory, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      utimensat(to_directory, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
    return trouble();
  }
  return absl::OkStatus();
}

}  // namespace contree
