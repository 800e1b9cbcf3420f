#ifndef LOCAL_BACKEND_IMAGES_FILE_ATTRIBUTES_H_
#define LOCAL_BACKEND_IMAGES_FILE_ATTRIBUTES_H_

// What files have besides their content, and the marks that overlayfs keeps among it. Thread-safe.

#include "absl/status/status.h"

namespace contree {

// Whether the directory of a layer hides what lower layers have at its place.
bool IsOpaque(int directory);
absl::Status MarkOpaque(int directory);

// Gives the open file or directory `to` the extended attributes of `from`, without overlayfs' own
// marks. Errors: what the system said.
absl::Status CopyExtendedAttributes(int from, int to);
// Those, and owner, mode and times.
absl::Status CopyAttributes(int from, int to);

// Makes a copy of a file of any kind but a directory: content, owner, mode, times, attributes.
absl::Status CopyEntry(int from_directory, const char* name, int to_directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_FILE_ATTRIBUTES_H_
