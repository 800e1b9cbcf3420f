#include "local-backend/importer/layer_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kMaxOpenDirectories = 64;

absl::Status SystemError(int error, absl::string_view what, const std::string& path) {
  const std::string message = absl::StrCat(what, " \"", absl::CHexEscape(path), "\"");
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(
          absl::StrCat(message, ": the disk is full; make room, or use a smaller image"));
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EISDIR:
      return absl::InvalidArgumentError(
          absl::StrCat(message, ": ", absl::ErrnoToStatus(error, "").message()));
    default:
      return absl::InternalError(
          absl::StrCat(message, ": ", absl::ErrnoToStatus(error, "").message()));
  }
}

int OpenBelow(int root, const std::string& path) {
  open_how how = {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  while (true) {
    const int fd = static_cast<int>(
        syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how));
    // "..", while anything on the machine is renamed or mounted.
    if (fd >= 0 || errno != EAGAIN) return fd;
  }
}

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

absl::StatusOr<int> LayerTree::Directory(const std::string& path) {
  const auto known = directories_.find(path);
  if (known != directories_.end()) return known->second.get();
  UniqueFd fd(OpenBelow(root_, path));
  if (!fd.is_open() && errno == ENOENT && !path.empty()) {
    ASSIGN_OR_RETURN(const int parent, Directory(ParentOf(path)));
    if (mkdirat(parent, NameOf(path).c_str(), 0755) != 0) {
      if (errno != EEXIST) return SystemError(errno, "cannot make the directory", path);
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::CHexEscape(path),
                       "\" is a link to nothing, and a directory for other files"));
    }
    fd.Reset(OpenBelow(root_, path));
  }
  if (!fd.is_open()) return SystemError(errno, "cannot enter the directory", path);
  if (directories_.size() >= kMaxOpenDirectories) directories_.clear();
  return directories_.insert_or_assign(path, std::move(fd)).first->second.get();
}

absl::StatusOr<LayerTree::Place> LayerTree::PlaceOf(const std::string& path) {
  if (path.empty()) {
    return absl::InvalidArgumentError("the root of an image can be nothing but a directory");
  }
  ASSIGN_OR_RETURN(const int parent, Directory(ParentOf(path)));
  return Place{.parent = parent, .name = NameOf(path)};
}

absl::Status LayerTree::Clear(const Place& place, const std::string& path) {
  struct stat there;
  if (fstatat(place.parent, place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? absl::OkStatus() : SystemError(errno, "cannot look at", path);
  }
  if (!S_ISDIR(there.st_mode)) {
    if (unlinkat(place.parent, place.name.c_str(), 0) != 0) {
      return SystemError(errno, "cannot replace", path);
    }
  } else {
    std::error_code error;
    std::filesystem::remove_all(absl::StrCat("/proc/self/fd/", place.parent, "/", place.name),
                                error);
    if (error) return SystemError(error.value(), "cannot replace the directory", path);
  }
  return absl::OkStatus();
}

absl::Status LayerTree::SetAttributes(int fd, const std::string& path,
                                      const LayerAttributes& attributes) {
  // In this order: a new owner takes set-uid bits and capabilities away.
  if (fchown(fd, attributes.uid, attributes.gid) != 0) {
    return SystemError(errno, "cannot set the owner of", path);
  }
  if (fchmod(fd, attributes.mode) != 0) return SystemError(errno, "cannot set the mode of", path);
  for (const auto& [name, value] : attributes.xattrs) {
    if (fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP) {
      return SystemError(errno, absl::StrCat("cannot set ", name, " of"), path);
    }
  }
  const timespec times[2] = {attributes.modified, attributes.modified};
  if (futimens(fd, times) != 0) return SystemError(errno, "cannot set the time of", path);
  return absl::OkStatus();
}

absl::Status LayerTree::MakeFile(const std::string& path, const LayerAttributes& attributes,
                                 absl::FunctionRef<absl::Status(int fd)> write) {
  ASSIGN_OR_RETURN(Place place, PlaceOf(path));
  const auto make = [&place] {
    return openat(place.parent, place.name.c_str(),
                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  };
  UniqueFd fd(make());
  if (!fd.is_open() && errno == EEXIST) {
    RETURN_IF_ERROR(Remove(path));
    ASSIGN_OR_RETURN(place, PlaceOf(path));
    fd.Reset(make());
  }
  if (!fd.is_open()) return SystemError(errno, "cannot make the file", path);
  RETURN_IF_ERROR(write(fd.get()));
  return SetAttributes(fd.get(), path, attributes);
}

absl::Status LayerTree::MakeDirectory(const std::string& path, const LayerAttributes& attributes) {
  if (!path.empty()) {
    ASSIGN_OR_RETURN(Place place, PlaceOf(path));
    if (mkdirat(place.parent, place.name.c_str(), 0700) != 0) {
      if (errno != EEXIST) return SystemError(errno, "cannot make the directory", path);
      struct stat there;
      if (fstatat(place.parent, place.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
        return SystemError(errno, "cannot look at", path);
      }
      if (!S_ISDIR(there.st_mode)) {
        RETURN_IF_ERROR(Remove(path));
        ASSIGN_OR_RETURN(place, PlaceOf(path));
        if (mkdirat(place.parent, place.name.c_str(), 0700) != 0) {
          return SystemError(errno, "cannot make the directory", path);
        }
      }
    }
  }
  ASSIGN_OR_RETURN(const int place, Directory(path));
  const UniqueFd fd(openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return SystemError(errno, "cannot open the directory", path);
  RETURN_IF_ERROR(SetAttributes(fd.get(), path, attributes));
  directory_times_.emplace_back(path, attributes.modified);
  return absl::OkStatus();
}

absl::Status LayerTree::MakeSymlink(const std::string& path, const std::string& target,
                                    const LayerAttributes& attributes) {
  ASSIGN_OR_RETURN(Place place, PlaceOf(path));
  if (symlinkat(target.c_str(), place.parent, place.name.c_str()) != 0) {
    if (errno != EEXIST) return SystemError(errno, "cannot make the link", path);
    RETURN_IF_ERROR(Remove(path));
    ASSIGN_OR_RETURN(place, PlaceOf(path));
    if (symlinkat(target.c_str(), place.parent, place.name.c_str()) != 0) {
      return SystemError(errno, "cannot make the link", path);
    }
  }
  const timespec times[2] = {attributes.modified, attributes.modified};
  if (fchownat(place.parent, place.name.c_str(), attributes.uid, attributes.gid,
               AT_SYMLINK_NOFOLLOW) != 0 ||
      utimensat(place.parent, place.name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return SystemError(errno, "cannot set the owner and time of", path);
  }
  return absl::OkStatus();
}

absl::Status LayerTree::MakeFifo(const std::string& path, const LayerAttributes& attributes) {
  RETURN_IF_ERROR(Remove(path));
  ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
  const timespec times[2] = {attributes.modified, attributes.modified};
  if (mkfifoat(place.parent, place.name.c_str(), 0600) != 0 ||
      fchownat(place.parent, place.name.c_str(), attributes.uid, attributes.gid,
               AT_SYMLINK_NOFOLLOW) != 0 ||
      fchmodat(place.parent, place.name.c_str(), attributes.mode, 0) != 0 ||
      utimensat(place.parent, place.name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
    return SystemError(errno, "cannot make the pipe", path);
  }
  return absl::OkStatus();
}

absl::Status LayerTree::MakeHardLink(const std::string& path, const std::string& target) {
  if (path == target) return absl::OkStatus();
  RETURN_IF_ERROR(Remove(path));
  ASSIGN_OR_RETURN(const Place source, PlaceOf(target));
  // By a descriptor of its own: looking the second place up may close the first.
  const UniqueFd source_parent(fcntl(source.parent, F_DUPFD_CLOEXEC, 0));
  ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
  if (linkat(source_parent.get(), source.name.c_str(), place.parent, place.name.c_str(), 0) != 0) {
    if (errno == ENOENT || errno == EPERM) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::CHexEscape(path), "\" is a hard link to \"",
                       absl::CHexEscape(target), "\", which is no file of the image"));
    }
    return SystemError(errno, "cannot make the hard link", path);
  }
  return absl::OkStatus();
}

absl::Status LayerTree::Remove(const std::string& path) {
  const UniqueFd parent(OpenBelow(root_, ParentOf(path)));
  if (!parent.is_open()) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return absl::OkStatus();
    return SystemError(errno, "cannot enter the directory of", path);
  }
  RETURN_IF_ERROR(Clear({.parent = parent.get(), .name = NameOf(path)}, path));
  directories_.clear();  // one of them may have been below it, or led through it
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> LayerTree::Children(const std::string& path) {
  std::vector<std::string> names;
  int fd = -1;
  if (path.empty()) {
    fd = openat(root_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } else {
    ASSIGN_OR_RETURN(const Place place, PlaceOf(path));
    fd = openat(place.parent, place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return names;
    return SystemError(errno, "cannot read the directory", path);
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(fdopendir(fd), closedir);
  if (directory == nullptr) return SystemError(errno, "cannot read the directory", path);
  while (const dirent* entry = readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

absl::Status LayerTree::Finish() {
  for (const auto& [path, modified] : directory_times_) {
    const UniqueFd fd(OpenBelow(root_, path));
    if (!fd.is_open()) continue;  // removed or replaced since
    const timespec times[2] = {modified, modified};
    if (utimensat(fd.get(), ".", times, 0) != 0) {
      return SystemError(errno, "cannot set the time of", path);
    }
  }
  return absl::OkStatus();
}

}  // namespace contree
