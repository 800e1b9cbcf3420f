#ifndef STANDALONE_DIRECTORY_SIZE_H_
#define STANDALONE_DIRECTORY_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace contree::standalone {

struct DirectorySize {
  uint64_t bytes = 0;    // on the disk
  uint64_t files = 0;    // of any kind but directories
  bool is_whole = true;  // false: something could not be looked into
};

// What is in `path` and below it, on its file system; a file with several names counts once.
// NotFound: there is no such directory. Others: what the system said.
absl::StatusOr<DirectorySize> MeasureDirectory(const std::string& path);

}  // namespace contree::standalone

#endif  // STANDALONE_DIRECTORY_SIZE_H_
