#ifndef LOCAL_BACKEND_IMPORTER_LAYER_TREE_H_
#define LOCAL_BACKEND_IMPORTER_LAYER_TREE_H_

// Writing into a directory tree by paths of a stranger: every one is resolved by the kernel below
// the root, symbolic links included, and nothing leads out. Paths are normalised ("usr/bin/env", ""
// for the root itself). Used by one thread.
//
// Errors: InvalidArgument: the tree makes no sense (a file where a directory has to be, a link to
// nothing). ResourceExhausted: the disk or a quota is full. Internal: what the system said.

#include <sys/types.h>
#include <time.h>

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

namespace contree {

struct LayerAttributes {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0755;  // permissions only
  timespec modified = {};
  std::vector<std::pair<std::string, std::string>> xattrs = {};
};

class LayerTree {
 public:
  // `root` is open on the directory and outlives this.
  explicit LayerTree(int root) : root_(root) {}

  // Each takes the place of what was there, and makes missing parents (0755, of root).
  //
  // `write` fills the new file.
  absl::Status MakeFile(const std::string& path, const LayerAttributes& attributes,
                        absl::FunctionRef<absl::Status(int fd)> write);
  absl::Status MakeDirectory(const std::string& path, const LayerAttributes& attributes);
  absl::Status MakeSymlink(const std::string& path, const std::string& target,
                           const LayerAttributes& attributes);
  absl::Status MakeFifo(const std::string& path, const LayerAttributes& attributes);
  // A second name for `target`, a path like `path`.
  absl::Status MakeHardLink(const std::string& path, const std::string& target);

  // Removes it with all below it; OK where there is nothing.
  absl::Status Remove(const std::string& path);
  // The names in a directory; empty where it is none, or nothing.
  absl::StatusOr<std::vector<std::string>> Children(const std::string& path);

  // Puts the times of directories right, which making things in them has changed. Last.
  absl::Status Finish();

 private:
  struct Place {
    int parent = -1;  // borrowed from the cache
    std::string name;
  };

  absl::StatusOr<int> Directory(const std::string& path);
  absl::StatusOr<Place> PlaceOf(const std::string& path);
  absl::Status Clear(const Place& place, const std::string& path);
  absl::Status SetAttributes(int fd, const std::string& path, const LayerAttributes& attributes);

  const int root_;
  std::unordered_map<std::string, UniqueFd> directories_;  // opened lately
  std::vector<std::pair<std::string, timespec>> directory_times_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_IMPORTER_LAYER_TREE_H_
