#ifndef LOCAL_BACKEND_IMAGES_TREE_WALK_H_
#define LOCAL_BACKEND_IMAGES_TREE_WALK_H_

// Visits a file tree without following symbolic links, each directory's entries by name.
// Thread-safe.

#include <sys/stat.h>

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace contree {

struct WalkEntry {
  const std::string& path;  // as the walk's own path and the names below it make it
  int directory;            // descriptor of the directory that it is in
  const char* name;         // in there
  const struct stat& info;
};

enum class WalkStep { kContinue, kSkipBelow, kStop };

// Visits what is in `directory`, below it in turn; paths begin with `prefix` (and a slash, unless
// it is empty). A directory comes before what is in it. `visit` may return an error, which ends the
// walk. Internal and others: a directory cannot be read. ResourceExhausted: it is too deep.
absl::Status WalkTree(int directory, const std::string& prefix,
                      absl::FunctionRef<absl::StatusOr<WalkStep>(const WalkEntry&)> visit);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_TREE_WALK_H_
