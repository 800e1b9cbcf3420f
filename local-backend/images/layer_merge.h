#ifndef LOCAL_BACKEND_IMAGES_LAYER_MERGE_H_
#define LOCAL_BACKEND_IMAGES_LAYER_MERGE_H_

// Makes one layer out of several that lie on each other. Thread-safe.

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace contree {

// Fills the empty directory `target` with what `layers` (topmost first, at least one) are together:
// whatever lies below them looks the same under `target` as under them. Files are hard links to
// those of the layers, so they take no space and must never be written to. What the layers delete
// or hide below them, `target` does. Its own mode, owner, times and attributes become those of the
// topmost. ResourceExhausted: the disk is full, or directories are more than 256 deep. Internal and
// others: what the system said.
absl::Status MergeLayers(const std::vector<std::string>& layers, const std::string& target);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_LAYER_MERGE_H_
