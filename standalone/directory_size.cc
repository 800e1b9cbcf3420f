#include "standalone/directory_size.h"

#include <fts.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace contree::standalone {

absl::StatusOr<DirectorySize> MeasureDirectory(const std::string& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
  }
  std::string root = path;
  char* const roots[] = {root.data(), nullptr};
  FTS* walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, nullptr);
  if (walk == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat("cannot walk ", path));
  const absl::Cleanup close = [walk] { fts_close(walk); };
  DirectorySize size;
  std::set<std::pair<dev_t, ino_t>> seen;
  while (const FTSENT* entry = fts_read(walk)) {
    switch (entry->fts_info) {
      case FTS_DP:  // after its content; it was counted before
        continue;
      case FTS_DNR:
        size.is_whole = false;
        break;  // the directory itself can be seen
      case FTS_ERR:
      case FTS_NS:
        size.is_whole = false;
        continue;
      default:
        break;
    }
    const struct stat& found = *entry->fts_statp;
    const bool is_directory = S_ISDIR(found.st_mode);
    if (!is_directory && found.st_nlink > 1 && !seen.emplace(found.st_dev, found.st_ino).second) {
      continue;
    }
    // A directory that cannot be read comes twice: as itself, then as unreadable.
    if (entry->fts_info != FTS_DNR) size.bytes += static_cast<uint64_t>(found.st_blocks) * 512;
    size.files += is_directory ? 0 : 1;
  }
  return size;
}

}  // namespace contree::standalone
