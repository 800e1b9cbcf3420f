#ifndef LOCAL_BACKEND_IMAGES_TREE_SIZE_H_
#define LOCAL_BACKEND_IMAGES_TREE_SIZE_H_

// How much there is below a directory. Thread-safe.

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace contree {

struct TreeSize {
  int64_t entries = 0;     // files, directories and all else
  int64_t file_bytes = 0;  // lengths of the regular files, each name counted
  int64_t disk_bytes = 0;  // allocated, each inode counted once
};

// Looks at every entry (some microseconds each); what comes or goes meanwhile is counted or not.
// NotFound and others: the directory cannot be read. Directories more than 256 deep are left out.
absl::StatusOr<TreeSize> MeasureTree(const std::string& directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_TREE_SIZE_H_
