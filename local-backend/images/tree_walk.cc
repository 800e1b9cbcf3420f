#include "local-backend/images/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

// Each level holds a descriptor; deeper than this is no directory tree but an attack.
constexpr int kMaxDepth = 512;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

using Visit = absl::FunctionRef<absl::StatusOr<WalkStep>(const WalkEntry&)>;

absl::Status Trouble(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot read ", path.empty() ? "/" : path));
}

// False: the walk was stopped.
absl::StatusOr<bool> Walk(int directory, const std::string& prefix, Visit visit, int depth) {
  if (depth > kMaxDepth) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are more than ", kMaxDepth, " directories inside each other"));
  }
  std::vector<std::string> names;
  {
    const std::unique_ptr<DIR, CloseDirectory> stream(
        fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (stream == nullptr) return Trouble(prefix, errno);
    while (const dirent* found = readdir(stream.get())) {
      if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0) {
        names.emplace_back(found->d_name);
      }
    }
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string path = prefix.empty() ? name : absl::StrCat(prefix, "/", name);
    struct stat info;
    if (fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      return Trouble(path, errno);
    }
    ASSIGN_OR_RETURN(
        const WalkStep step,
        visit({.path = path, .directory = directory, .name = name.c_str(), .info = info}));
    if (step == WalkStep::kStop) return false;
    if (step == WalkStep::kSkipBelow || !S_ISDIR(info.st_mode)) continue;
    const UniqueFd below(
        openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below.is_open()) return Trouble(path, errno);
    ASSIGN_OR_RETURN(const bool go_on, Walk(below.get(), path, visit, depth + 1));
    if (!go_on) return false;
  }
  return true;
}

}  // namespace

absl::Status WalkTree(int directory, const std::string& prefix, Visit visit) {
  return Walk(directory, prefix, visit, 0).status();
}

}  // namespace contree
