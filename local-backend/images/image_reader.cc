#include "local-backend/images/image_reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/overlay.h"

namespace contree {
namespace {

constexpr size_t kMaxNamesFile = 1 << 20;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

absl::Status ResolveError(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return absl::NotFoundError(absl::StrCat("there is no ", path, " in the image"));
    case ELOOP:
      return absl::FailedPreconditionError(absl::StrCat(path, " is a loop of symbolic links"));
    default:
      return absl::ErrnoToStatus(error, absl::StrCat("cannot open ", path, " in the image"));
  }
}

}  // namespace

absl::StatusOr<ImageReader> ImageReader::Open(const std::vector<std::string>& layers,
                                              const std::string& empty_directory, Lease lease) {
  ASSIGN_OR_RETURN(
      UniqueFd root,
      MountOverlay(
          {.layers = layers, .upper = "", .work = "", .empty_directory = empty_directory}));
  return ImageReader(std::move(root), std::move(lease));
}

absl::StatusOr<UniqueFd> ImageReader::Resolve(const std::string& path, int flags) const {
  if (path.find('\0') != std::string::npos)
    return absl::InvalidArgumentError("a NUL character in the path");
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  // The kernel refuses to follow ".." when a rename or a mount anywhere in the system came between
  // (EAGAIN, openat2(2)): then the answer is to ask again.
  constexpr int kMaxTries = 10'000;
  for (int i = 0; i < kMaxTries; ++i) {
    UniqueFd fd(static_cast<int>(
        syscall(SYS_openat2, root_.get(), path.empty() ? "/" : path.c_str(), &how, sizeof how)));
    if (fd.is_open()) return fd;
    if (errno != EAGAIN && errno != EINTR) return ResolveError(path, errno);
  }
  return ResolveError(path, EAGAIN);
}

absl::StatusOr<std::vector<FileEntry>> ImageReader::List(const std::string& path) const {
  // Looked at before it is opened: opening a pipe or a device would have effects.
  ASSIGN_OR_RETURN(const UniqueFd place, Resolve(path, O_PATH));
  struct stat info;
  if (fstat(place.get(), &info) != 0) return ResolveError(path, errno);
  if (!S_ISDIR(info.st_mode))
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory"));
  const std::unique_ptr<DIR, CloseDirectory> directory(
      fdopendir(openat(place.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  if (directory == nullptr) return ResolveError(path, errno);
  std::vector<FileEntry> entries;
  while (const dirent* found = readdir(directory.get())) {
    if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
    FileEntry entry;
    entry.name = found->d_name;
    if (fstatat(place.get(), found->d_name, &entry.info, AT_SYMLINK_NOFOLLOW) != 0) {
      return ResolveError(absl::StrCat(path, "/", entry.name), errno);
    }
    if (S_ISLNK(entry.info.st_mode)) {
      char target[PATH_MAX];
      const ssize_t size = readlinkat(place.get(), found->d_name, target, sizeof target);
      if (size > 0) entry.target.assign(target, static_cast<size_t>(size));
    }
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
  return entries;
}

absl::StatusOr<UniqueFd> ImageReader::OpenPath(const std::string& path) const {
  return Resolve(path, O_PATH);
}

absl::StatusOr<UniqueFd> ImageReader::OpenFile(const std::string& path) const {
  ASSIGN_OR_RETURN(const UniqueFd place, Resolve(path, O_PATH));
  struct stat info;
  if (fstat(place.get(), &info) != 0) return ResolveError(path, errno);
  if (!S_ISREG(info.st_mode))
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  // Not Resolve again: the image does not change, but this is the very file that was looked at.
  UniqueFd file(open(absl::StrCat("/proc/self/fd/", place.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return ResolveError(path, errno);
  return file;
}

ImageReader::Names ImageReader::ReadNames(const std::string& path) const {
  Names names;
  const absl::StatusOr<UniqueFd> file = OpenFile(path);
  struct stat info;
  if (!file.ok() || fstat(file->get(), &info) != 0) return names;
  std::string text(std::min(static_cast<size_t>(info.st_size), kMaxNamesFile), '\0');
  const ssize_t size = read(file->get(), text.data(), text.size());
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
    uint32_t id;
    if (fields.size() >= 3 && absl::SimpleAtoi(fields[2], &id)) names.emplace(id, fields[0]);
  }
  return names;
}

}  // namespace contree
