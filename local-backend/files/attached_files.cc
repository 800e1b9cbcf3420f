#include "local-backend/files/attached_files.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/files/sha256.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"

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

}  // namespace

// Finds the directories of the files. Used by one thread.
class AttachmentPlan::DirectoryFinder {
 public:
  explicit DirectoryFinder(int image) : image_(image) {}

  // The directory of `path` without symbolic links, relative to the root.
  absl::StatusOr<std::string> Find(const std::string& path) {
    const auto known = resolved_.find(path);
    if (known != resolved_.end()) return known->second;
    ASSIGN_OR_RETURN(std::string real, Resolve(path));
    RETURN_IF_ERROR(NoteAll(real));
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

  // How it looks in the image, if it is there.
  absl::StatusOr<Directory> Look(const std::string& path) const {
    Directory directory = {.path = path};
    struct stat info;
    if (fstatat(image_, path.c_str(), &info, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0) {
      return directory;
    }
    const UniqueFd fd(openat(image_, path.empty() ? "." : path.c_str(),
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.is_open()) return Trouble(path, errno);
    directory.is_new = false;
    directory.mode = info.st_mode & 07777;
    directory.uid = info.st_uid;
    directory.gid = info.st_gid;
    directory.attributes = ReadExtendedAttributes(fd.get());
    return directory;
  }

  std::vector<Directory> TakeAll() { return std::move(all_); }

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

  absl::Status NoteAll(const std::string& directory) {
    for (size_t end = directory.find('/'); !directory.empty(); end = directory.find('/', end + 1)) {
      const std::string part = directory.substr(0, end);
      if (noted_.insert(part).second) {
        ASSIGN_OR_RETURN(Directory found, Look(part));
        if (found.is_new) new_.insert(part);
        all_.push_back(std::move(found));
      }
      if (end == std::string::npos) break;
    }
    return absl::OkStatus();
  }

  const int image_;
  std::map<std::string, std::string> resolved_;
  std::set<std::string> noted_;
  std::set<std::string> new_;  // what the image does not have
  std::vector<Directory> all_;
};

namespace {

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

// Each part with its length, so that no two lists of parts look alike.
void Add(absl::string_view part, Sha256& hash) {
  hash.Update(absl::StrCat(part.size(), ":"));
  hash.Update(part);
}

}  // namespace

absl::StatusOr<AttachmentPlan> AttachmentPlan::Make(const std::vector<AttachedFile>& files,
                                                    int image) {
  AttachmentPlan plan;
  DirectoryFinder directories(image);
  ASSIGN_OR_RETURN(plan.root_, directories.Look(""));
  std::vector<Placement>& placements = plan.placements_;
  placements.reserve(files.size());
  for (const AttachedFile& file : files) {
    const size_t slash = file.path.rfind('/');
    Placement item = {.file = &file, .directory = "", .name = file.path.substr(slash + 1)};
    ASSIGN_OR_RETURN(item.directory, directories.Find(file.path.substr(0, slash)));
    if (directories.IsDirectory(item.directory, item.name)) {
      return absl::FailedPreconditionError(
          absl::StrCat("files: ", file.path, " is a directory in the image"));
    }
    placements.push_back(std::move(item));
  }
  plan.directories_ = directories.TakeAll();
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
  std::set<absl::string_view> linked;
  for (Placement& item : placements)
    item.may_be_link = FitsAsItIs(*item.file) && linked.insert(item.file->content).second;
  return plan;
}

std::string AttachmentPlan::Digest() const {
  Sha256 hash;
  const auto add_directory = [&hash](const Directory& directory) {
    Add(directory.path, hash);
    Add(absl::StrCat(directory.mode, " ", directory.uid, " ", directory.gid, " ",
                     directory.attributes.size()),
        hash);
    for (const auto& [name, value] : directory.attributes) {
      Add(name, hash);
      Add(value, hash);
    }
  };
  add_directory(root_);
  // In an order that does not come from that of the files.
  std::vector<const Directory*> sorted;
  sorted.reserve(directories_.size());
  for (const Directory& directory : directories_) sorted.push_back(&directory);
  std::sort(sorted.begin(), sorted.end(),
            [](const Directory* a, const Directory* b) { return a->path < b->path; });
  Add(absl::StrCat(sorted.size()), hash);
  for (const Directory* directory : sorted) add_directory(*directory);
  for (const Placement& item : placements_) {
    Add(item.directory, hash);
    Add(item.name, hash);
    Add(item.file->content, hash);
    Add(absl::StrCat(item.file->mode, " ", item.file->uid, " ", item.file->gid), hash);
  }
  return hash.FinishHex();
}

// Puts one thread's share of the files into their directories.
absl::Status AttachmentPlan::PlaceShare(const Placement* begin, const Placement* end, int target,
                                        AttachBy by) const {
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
    if (by == AttachBy::kLink && item->may_be_link) {
      if (linkat(AT_FDCWD, file.source.c_str(), directory.get(), item->name.c_str(), 0) == 0) {
        continue;
      }
      if (errno != EMLINK && errno != EXDEV) return Trouble(file.path, errno);
    }
    RETURN_IF_ERROR(Copy(file, directory.get(), item->name));
  }
  return absl::OkStatus();
}

absl::Status AttachmentPlan::Place(const std::string& directory, AttachBy by) const {
  const UniqueFd target(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!target.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", directory));
  for (const Directory& wanted : directories_) {
    const std::string& path = wanted.path;
    if (mkdirat(target.get(), path.c_str(), 0755) != 0 && errno != EEXIST)
      return Trouble(path, errno);
    if (wanted.is_new) continue;
    const UniqueFd made(openat(target.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!made.is_open()) return Trouble(path, errno);
    RETURN_IF_ERROR(SetExtendedAttributes(made.get(), wanted.attributes));
    if (fchown(made.get(), wanted.uid, wanted.gid) != 0 || fchmod(made.get(), wanted.mode) != 0)
      return Trouble(path, errno);
  }
  const size_t threads =
      std::clamp<size_t>(placements_.size() / kFilesPerThread, 1,
                         std::max(1U, std::min(kMaxThreads, std::thread::hardware_concurrency())));
  std::vector<absl::Status> results(threads);
  const auto work = [&](size_t i) {
    const size_t begin = placements_.size() * i / threads;
    const size_t end = placements_.size() * (i + 1) / threads;
    results[i] = PlaceShare(placements_.data() + begin, placements_.data() + end, target.get(), by);
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < threads; ++i) helpers.emplace_back(work, i);
  work(0);
  for (std::thread& helper : helpers) helper.join();
  for (const absl::Status& result : results) RETURN_IF_ERROR(result);
  return absl::OkStatus();
}

absl::Status AttachFiles(const std::vector<AttachedFile>& files, int image,
                         const std::string& directory, AttachBy by) {
  ASSIGN_OR_RETURN(const AttachmentPlan plan, AttachmentPlan::Make(files, image));
  return plan.Place(directory, by);
}

}  // namespace contree
