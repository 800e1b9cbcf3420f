#include "gateway/workspace/workspace.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace contree::gateway {
namespace {

// For messages; longer ones are a mistake anyway.
constexpr size_t kMaxShownBytes = 300;

std::string Quoted(absl::string_view path) {
  return absl::StrCat("'", path.substr(0, kMaxShownBytes), "'");
}

// The name that the kernel has for an open file: absolute and without symbolic links.
std::string PathOf(int fd, absl::string_view otherwise) {
  char buffer[PATH_MAX];
  const ssize_t size = readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), buffer, sizeof buffer);
  return size > 0 ? std::string(buffer, static_cast<size_t>(size)) : std::string(otherwise);
}

std::string Join(absl::string_view directory, absl::string_view name) {
  return absl::StrCat(absl::StripSuffix(directory, "/"), "/", name);
}

absl::Status NoRoots() {
  return absl::FailedPreconditionError(
      "this server is reached over HTTP and was given no directory of its own machine, so rsync, "
      "upload with path and download have nothing they may touch there. Its operator can start it "
      "with --workspace-root DIR. Without that: upload takes content or content_base64, and "
      "read_file shows a file of an image");
}

}  // namespace

Workspace Workspace::OfUser() {
  Workspace workspace;
  workspace.is_of_user_ = true;
  return workspace;
}

absl::StatusOr<Workspace> Workspace::Below(const std::vector<std::string>& roots) {
  Workspace workspace;
  for (const std::string& name : roots) {
    Root root{.name = name,
              .path = "",
              .directory = UniqueFd(open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))};
    if (!root.directory.is_open()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--workspace-root ", Quoted(name), " cannot be used: ", strerror(errno)));
    }
    while (root.name.size() > 1 && absl::EndsWith(root.name, "/")) root.name.pop_back();
    root.path = PathOf(root.directory.get(), root.name);
    workspace.roots_.push_back(std::move(root));
  }
  return workspace;
}

absl::StatusOr<Workspace> Workspace::Choose(bool is_stdio, const std::vector<std::string>& roots) {
  if (is_stdio && roots.empty()) return OfUser();
  return Below(roots);
}

absl::StatusOr<HostSource> Workspace::OpenSource(absl::string_view path) const {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  // Looked at before it is opened: opening a pipe or a device would have effects.
  const UniqueFd found = Open(place, O_PATH);
  if (!found.is_open()) return OpenError(path, errno);
  struct stat info;
  if (fstat(found.get(), &info) != 0) return OpenError(path, errno);
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(
        Quoted(path), " is neither a file nor a directory, but a device, a pipe or a socket"));
  }
  HostSource source;
  source.fd.Reset(open(absl::StrCat("/proc/self/fd/", found.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!source.fd.is_open()) return OpenError(path, errno);
  source.path = PathOf(source.fd.get(), path);
  source.is_directory = S_ISDIR(info.st_mode);
  source.size = source.is_directory ? 0 : info.st_size;
  return source;
}

absl::StatusOr<HostDestination> Workspace::OpenDestination(absl::string_view path) const {
  ASSIGN_OR_RETURN(const Place place, Locate(path));
  const auto is_directory = [&] {
    return absl::FailedPreconditionError(
        absl::StrCat(Quoted(path), " names a directory: give the path of a file in it, such as ",
                     Join(path.substr(0, kMaxShownBytes), "NAME")));
  };
  if (Open(place, O_PATH | O_DIRECTORY).is_open()) return is_directory();
  if (absl::EndsWith(place.path, "/")) return is_directory();
  const size_t slash = place.path.rfind('/');
  HostDestination destination;
  destination.name = place.path.substr(slash == std::string::npos ? 0 : slash + 1);
  Place parent{.directory = place.directory, .path = "."};
  if (slash != std::string::npos) parent.path = place.path.substr(0, slash == 0 ? 1 : slash);
  const UniqueFd found = Open(parent, O_PATH | O_DIRECTORY);
  if (!found.is_open()) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return absl::NotFoundError(absl::StrCat("the directory of ", Quoted(path),
                                              " does not exist: make it first, or choose another "
                                              "destination"));
    }
    return OpenError(path, errno);
  }
  destination.directory.Reset(openat(found.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!destination.directory.is_open()) return OpenError(path, errno);
  struct stat info;
  if (fstatat(destination.directory.get(), destination.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) ==
      0) {
    // A file is put in its place by renaming: that would replace the link, or the device, itself.
    if (S_ISLNK(info.st_mode)) {
      return absl::FailedPreconditionError(absl::StrCat(
          Quoted(path), " is a symbolic link: give the path that it points at, or remove it"));
    }
    if (!S_ISREG(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat(Quoted(path), " exists and is no regular file: choose another destination"));
    }
  } else if (errno != ENOENT) {
    return OpenError(path, errno);
  }
  destination.path = Join(PathOf(destination.directory.get(), "."), destination.name);
  return destination;
}

absl::StatusOr<Workspace::Place> Workspace::Locate(absl::string_view path) const {
  if (!is_of_user_ && roots_.empty()) return NoRoots();
  if (path.empty()) return absl::InvalidArgumentError("the path is empty: give a path on the host");
  if (absl::StrContains(path, absl::string_view("\0", 1))) {
    return absl::InvalidArgumentError("the path holds a NUL character");
  }
  if (is_of_user_) {
    const char* home = getenv("HOME");
    absl::string_view below_home = path;
    if (home != nullptr && home[0] == '/' && absl::ConsumePrefix(&below_home, "~") &&
        (below_home.empty() || below_home[0] == '/')) {
      return Place{.directory = AT_FDCWD, .path = absl::StrCat(home, below_home)};
    }
    return Place{.directory = AT_FDCWD, .path = std::string(path)};
  }
  if (path[0] != '/') {
    if (roots_.size() == 1 && path[0] != '~') {
      return Place{.directory = roots_[0].directory.get(), .path = std::string(path)};
    }
    return absl::InvalidArgumentError(
        absl::StrCat("the path ", Quoted(path), " is not absolute: over HTTP give one below ",
                     absl::StrJoin(roots_, " or ", [](std::string* out, const Root& root) {
                       absl::StrAppend(out, root.name);
                     })));
  }
  std::string rest;
  const Root* root = FindRoot(path, rest);
  if (root == nullptr) return OpenError(path, EXDEV);
  return Place{.directory = root->directory.get(), .path = std::move(rest)};
}

const Workspace::Root* Workspace::FindRoot(absl::string_view path, std::string& rest) const {
  const Root* best = nullptr;
  size_t best_length = 0;
  for (const Root& root : roots_) {
    for (const std::string* name : {&root.name, &root.path}) {
      absl::string_view below = path;
      if (!absl::ConsumePrefix(&below, *name)) continue;
      if (!below.empty() && below[0] != '/' && *name != "/") continue;
      if (best != nullptr && name->size() <= best_length) continue;
      best = &root;
      best_length = name->size();
      while (absl::ConsumePrefix(&below, "/")) {
      }
      rest = below.empty() ? "." : std::string(below);
    }
  }
  return best;
}

UniqueFd Workspace::Open(const Place& place, int flags) const {
  if (is_of_user_) return UniqueFd(open(place.path.c_str(), flags | O_CLOEXEC));
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // The kernel refuses to follow ".." when a rename or a mount anywhere in the system came between
  // (EAGAIN, openat2(2)): then the answer is to ask again.
  constexpr int kMaxTries = 10'000;
  for (int i = 0; i < kMaxTries; ++i) {
    UniqueFd fd(static_cast<int>(
        syscall(SYS_openat2, place.directory, place.path.c_str(), &how, sizeof how)));
    if (fd.is_open() || (errno != EAGAIN && errno != EINTR)) return fd;
  }
  return UniqueFd();
}

absl::Status Workspace::OpenError(absl::string_view path, int error) const {
  switch (error) {
    case ENOENT:
    case ENOTDIR: {
      std::string where;
      if (is_of_user_ && path[0] != '/' && path[0] != '~') {
        const UniqueFd here(open(".", O_PATH | O_CLOEXEC));
        where = absl::StrCat("; relative paths begin at ", PathOf(here.get(), "."));
      }
      return absl::NotFoundError(absl::StrCat("there is no ", Quoted(path),
                                              " on the machine that this server runs on", where));
    }
    case EXDEV:
      return absl::FailedPreconditionError(
          absl::StrCat(Quoted(path),
                       " is outside of what this server may touch, or leads out of it: it may "
                       "touch what is below ",
                       absl::StrJoin(roots_, ", ", [](std::string* out, const Root& root) {
                         absl::StrAppend(out, root.name);
                       })));
    case ENAMETOOLONG:
      return absl::InvalidArgumentError(absl::StrCat(Quoted(path), " is too long for a path"));
    default:
      return absl::FailedPreconditionError(
          absl::StrCat("cannot open ", Quoted(path), ": ", strerror(error)));
  }
}

}  // namespace contree::gateway
