#ifndef LOCAL_BACKEND_IMAGES_LAYER_DIFF_H_
#define LOCAL_BACKEND_IMAGES_LAYER_DIFF_H_

// Whether the upper directory of an overlay changes anything. That it is not empty says little:
// opening a file for writing copies it up, and so does changing it and changing it back.
// Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "local-backend/images/tree_size.h"

namespace contree {

struct LayerDiff {
  bool changed = false;
  int64_t bytes = 0;  // of the regular files in the upper directory, as far as they take up space
  TreeSize size;      // of the upper directory; its disk_bytes are not counted
};

// Compares everything below `upper` with the same path in the image of `layers` (topmost first):
// kind, mode, owner, content, target, extended attributes and what was deleted; not times.
// `empty_directory` is for the mount.
absl::StatusOr<LayerDiff> CompareWithLayers(const std::string& upper,
                                            const std::vector<std::string>& layers,
                                            const std::string& empty_directory);

// Whether what lies below `layer` changes anything of the image, as CompareWithLayers finds it; it
// looks no further than the first change. Files that the image shows out of that very layer are not
// read.
absl::StatusOr<bool> ChangesImage(const std::string& layer, const std::vector<std::string>& layers,
                                  const std::string& empty_directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_LAYER_DIFF_H_
