#ifndef GATEWAY_SYNC_TREE_ENTRY_H_
#define GATEWAY_SYNC_TREE_ENTRY_H_

// Looking at the entries of a tree and opening them: the system calls of walking. Nothing here
// leaves the tree: paths are resolved by the kernel below the root. Thread-safe.

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"
#include "gateway/sync/omissions.h"
#include "gateway/sync/tree.h"

namespace contree::gateway {

struct FileSystemFacts {
  bool is_of_kernel = false;  // /proc and its like: not files that somebody keeps
  // A file system whose changes this machine makes itself: inotify shows them all, and timestamps
  // are of this machine's clock.
  bool is_local = false;
};

FileSystemFacts FactsOfFileSystem(int fd);

// CLOCK_REALTIME, for RowOf.
int64_t NowNanoseconds();

// `looked_at_ns`: when, at the latest, the look began; before the stat.
FileRow RowOf(const struct stat& info, int64_t looked_at_ns, bool is_local);

struct TreeEntry {
  enum class Kind { kFile, kDirectory, kOmitted, kGone };
  Kind kind = Kind::kGone;
  FileRow row = {};                            // of kFile
  Omission omission = Omission::kSpecialFile;  // of kOmitted
};

// Looks at one name in an open directory of the tree whose path is `directory`. A symbolic link to
// a file of the tree counts as that file.
TreeEntry LookAt(const TreeRoot& root, int directory_fd, absl::string_view directory,
                 const char* name, bool is_local);

// Opens a directory of the tree, without following links. -1 and errno.
UniqueFd OpenTreeDirectory(const TreeRoot& root, const std::string& path);

// Opens a file of the tree for reading, following links only where `is_link`, and never waiting
// for the other end of a pipe. -1 and errno. Of a root that is a file itself, the path is ignored.
UniqueFd OpenTreeFile(const TreeRoot& root, const std::string& path, bool is_link);

}  // namespace contree::gateway

#endif  // GATEWAY_SYNC_TREE_ENTRY_H_
