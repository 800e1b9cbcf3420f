#include "local-backend/files/attached_files.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "local-backend/images/file_attributes.h"

namespace contree {
namespace {

constexpr int kMaxLinks = 40;
constexpr size_t kFilesPerThread = 512;
constexpr unsigned kMaxThreads = 4;
constexpr size_t kCopySize = 1 << 20;

absl::Status Trouble(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat("there is no space for the file ", path));
  }
  return absl::ErrnoToStatus(error, absl::StrCat("cannot attach the file ", path));
}

// A file and where it goes: below `directory`, which is a path without links.
struct Placement {
  const AttachedFile* file = nullptr;
  std::string directory;  // relative, "" is the root
  std::string name;
};

// Finds and makes the directories of the files. Used by one thread.
class Directories {
 public:
  Directories(int image, int target) : image_(image), target_(target) {}

  // The directory of `path` without symbolic links, relative to the root, made in the target.
  absl::StatusOr<std::string> Make(const std::string& path) {
    const auto known = resolved_.find(path);
    if (known != resolved_.end()) return known->second;
    ASSIGN_OR_RETURN(std::string real, Resolve(path));
    RETURN_IF_ERROR(MakeAll(real));
    resolved_[path] = real;
    return real;
  }

  // Whether the image has a directory at this place (without symbolic links on the way).
  bool IsDirectory(const std::string& directory, const std::string& name) const {
    if (!directory.empty() && new_.contains(directory)) return false;
    struct stat info;
    const std::string path = directory.empty() ? name : absl::StrCat(directory, "/", name);
    return fstatat(image_, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
  }

 private:
  // As the kernel would below this root; what is not there is made.
  absl::StatusOr<std::string> Resolve(const std::string& path) {
    std::vector<std::string> left = absl::StrSplit(path, '/', absl::SkipEmpty());
    std::reverse(left.begin(), left.end());
    std::vector<std::string> real;
    int links = 0;
    while (!left.empty()) {
      const std::string name = std::move(left.back());
      left.pop_back();
      if (name == ".") continue;
      if (name == "..") {
        if (!real.empty()) real.pop_back();
        continue;
      }
      real.push_back(name);
      const std::string here = absl::StrJoin(real, "/");
      struct stat info;
      if (fstatat(image_, here.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) continue;
        return Trouble(path, errno);
      }
      if (S_ISDIR(info.st_mode)) continue;
      if (!S_ISLNK(info.st_mode)) {
        return absl::FailedPreconditionError(absl::StrCat(
            "files: /", here, " in the image is not a directory, so there can be no ", path));
      }
      char target[PATH_MAX];
      const ssize_t size = readlinkat(image_, here.c_str(), target, sizeof target);
      if (size < 0) return Trouble(path, errno);
      if (++links > kMaxLinks) {
        return absl::FailedPreconditionError(
            absl::StrCat("files: ", path, " is a loop of symbolic links in the image"));
      }
      const absl::string_view text(target, static_cast<size_t>(size));
      real.pop_back();
      if (absl::StartsWith(text, "/")) real.clear();
      const std::vector<std::string> parts = absl::StrSplit(text, '/', absl::SkipEmpty());
      left.insert(left.end(), parts.rbegin(), parts.rend());
    }
    return absl::StrJoin(real, "/");
  }

  absl::Status MakeAll(const std::string& directory) {
    for (size_t end = directory.find('/'); !directory.empty(); end = directory.find('/', end + 1)) {
      const std::string part = directory.substr(0, end);
      if (!made_.contains(part)) RETURN_IF_ERROR(MakeOne(part));
      if (end == std::string::npos) break;
    }
    return absl::OkStatus();
  }

  absl::Status MakeOne(const std::string& path) {
    struct stat info;
    const bool in_image = fstatat(image_, path.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
    if (mkdirat(target_, path.c_str(), 0755) != 0 && errno != EEXIST) return Trouble(path, errno);
    if (in_image) {
      const UniqueFd ours(openat(target_, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      const UniqueFd theirs(openat(image_, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!ours.is_open() || !theirs.is_open()) return Trouble(path, errno);
      RETURN_IF_ERROR(CopyExtendedAttributes(theirs.get(), ours.get()));
      if (fchown(ours.get(), info.st_uid, info.st_gid) != 0 ||
          fchmod(ours.get(), info.st_mode & 07777) != 0) {
        return Trouble(path, errno);
      }
    } else {
      new_.insert(path);
    }
    made_.insert(path);
    return absl::OkStatus();
  }

  const int image_;
  const int target_;
  std::map<std::string, std::string> resolved_;
  std::set<std::string> made_;
  std::set<std::string> new_;  // of `made_`, what the image does not have
};

absl::Status CopyBytes(int from, int to, const std::string& path) {
  while (true) {
    const ssize_t copied = copy_file_range(from, nullptr, to, nullptr, kCopySize, 0);
    if (copied == 0) return absl::OkStatus();
    if (copied < 0 && errno != EINTR) return Trouble(path, errno);
  }
}

absl::Status Copy(const AttachedFile& file, int directory, const std::string& name) {
  const UniqueFd from(open(file.source.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!from.is_open()) return Trouble(file.path, errno);
  const UniqueFd to(openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to.is_open()) return Trouble(file.path, errno);
  RETURN_IF_ERROR(CopyBytes(from.get(), to.get(), file.path));
  // Owner first: changing it takes set-uid bits away.
  if (((file.uid != 0 || file.gid != 0) && fchown(to.get(), file.uid, file.gid) != 0) ||
      fchmod(to.get(), file.mode & 07777) != 0) {
    return Trouble(file.path, errno);
  }
  return absl::OkStatus();
}

bool FitsAsItIs(const AttachedFile& file) {
  return file.mode == 0644 && file.uid == 0 && file.gid == 0;
}

// Puts one thread's share of the files into their directories.
absl::Status Place(const Placement* begin, const Placement* end, int target, AttachBy by,
                   const std::vector<bool>& may_link, const Placement* first) {
  UniqueFd directory;
  const std::string* open_directory = nullptr;
  for (const Placement* item = begin; item != end; ++item) {
    if (open_directory == nullptr || *open_directory != item->directory) {
      directory.Reset(openat(target, item->directory.empty() ? "." : item->directory.c_str(),
                             O_PATH | O_DIRECTORY | O_CLOEXEC));
      if (!directory.is_open()) return Trouble(item->file->path, errno);
      open_directory = &item->directory;
    }
    const AttachedFile& file = *item->file;
    if (by == AttachBy::kLink && may_link[static_cast<size_t>(item - first)]) {
      if (linkat(AT_FDCWD, file.source.c_str(), directory.get(), item->name.c_str(), 0) == 0) {
        continue;
      }
      if (errno != EMLINK && errno != EXDEV) return Trouble(file.path, errno);
    }
    RETURN_IF_ERROR(Copy(file, directory.get(), item->name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AttachFiles(const std::vector<AttachedFile>& files, int image,
                         const std::string& directory, AttachBy by) {
  const UniqueFd target(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!target.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", directory));
  Directories directories(image, target.get());
  std::vector<Placement> placements;
  placements.reserve(files.size());
  for (const AttachedFile& file : files) {
    const size_t slash = file.path.rfind('/');
    Placement item = {.file = &file, .directory = "", .name = file.path.substr(slash + 1)};
    ASSIGN_OR_RETURN(item.directory, directories.Make(file.path.substr(0, slash)));
    if (directories.IsDirectory(item.directory, item.name)) {
      return absl::FailedPreconditionError(
          absl::StrCat("files: ", file.path, " is a directory in the image"));
    }
    placements.push_back(std::move(item));
  }
  std::stable_sort(placements.begin(), placements.end(),
                   [](const Placement& a, const Placement& b) {
                     return std::tie(a.directory, a.name) < std::tie(b.directory, b.name);
                   });
  for (size_t i = 1; i < placements.size(); ++i) {
    if (placements[i].directory == placements[i - 1].directory &&
        placements[i].name == placements[i - 1].name) {
      return absl::FailedPreconditionError(absl::StrCat("files: ", placements[i - 1].file->path,
                                                        " and ", placements[i].file->path,
                                                        " are the same place in the image"));
    }
  }
  // One file's inode may appear once: `cp -a` and `tar` take a second one for a hard link.
  std::vector<bool> may_link(placements.size());
  std::set<absl::string_view> linked;
  for (size_t i = 0; i < placements.size(); ++i) {
    const AttachedFile& file = *placements[i].file;
    may_link[i] = FitsAsItIs(file) && linked.insert(file.content).second;
  }
  const size_t threads =
      std::clamp<size_t>(placements.size() / kFilesPerThread, 1,
                         std::max(1U, std::min(kMaxThreads, std::thread::hardware_concurrency())));
  std::vector<absl::Status> results(threads);
  const auto work = [&](size_t i) {
    const size_t begin = placements.size() * i / threads;
    const size_t end = placements.size() * (i + 1) / threads;
    results[i] = Place(placements.data() + begin, placements.data() + end, target.get(), by,
                       may_link, placements.data());
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work, i);
  work(0);
  for (std::thread& helper : helpers) helper.join();
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

}  // namespace contree
