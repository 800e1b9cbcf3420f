#include "local-backend/images/tree_size.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace contree {
namespace {

constexpr int kMaxDepth = 256;  // each level holds a descriptor
constexpr int64_t kBlock = 512;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

class Measurement {
 public:
  TreeSize size() const { return size_; }

  // Takes the descriptor over.
  void Add(int directory, int depth) {
    const std::unique_ptr<DIR, CloseDirectory> stream(fdopendir(directory));
    if (stream == nullptr) {
      close(directory);
      return;
    }
    while (const dirent* entry = readdir(stream.get())) {
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      struct stat info;
      if (fstatat(dirfd(stream.get()), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
      ++size_.entries;
      if (S_ISREG(info.st_mode)) size_.file_bytes += info.st_size;
      const bool is_new = S_ISDIR(info.st_mode) || info.st_nlink < 2 ||
                          linked_.emplace(info.st_dev, info.st_ino).second;
      if (is_new) size_.disk_bytes += int64_t{info.st_blocks} * kBlock;
      if (!S_ISDIR(info.st_mode) || depth == kMaxDepth) continue;
      const int below = openat(dirfd(stream.get()), entry->d_name,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (below >= 0) Add(below, depth + 1);
    }
  }

 private:
  TreeSize size_;
  std::set<std::pair<dev_t, ino_t>> linked_;
};

}  // namespace

absl::StatusOr<TreeSize> MeasureTree(const std::string& directory) {
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", directory));
  Measurement measurement;
  measurement.Add(fd, 0);
  return measurement.size();
}

}  // namespace contree
