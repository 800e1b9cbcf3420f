#ifndef LOCAL_BACKEND_IMAGES_FILE_ATTRIBUTES_H_
#define LOCAL_BACKEND_IMAGES_FILE_ATTRIBUTES_H_

// What files have besides their content, and the marks that overlayfs keeps among it. Thread-safe.

#include <map>
#include <string>

#include "absl/status/status.h"

namespace contree {

// Whether the directory of a layer hides what lower layers have at its place.
bool IsOpaque(int directory);
absl::Status MarkOpaque(int directory);

// By name, without overlayfs' own marks.
using ExtendedAttributes = std::map<std::string, std::string>;
// Of an open file or directory; what cannot be read is left out.
ExtendedAttributes ReadExtendedAttributes(int fd);
// Errors: what the system said.
absl::Status SetExtendedAttributes(int fd, const ExtendedAttributes& attributes);
// Gives the open file or directory `to` the extended attributes, owner, mode and times of `from`.
absl::Status CopyAttributes(int from, int to);

// Makes a copy of a file of any kind but a directory: content, owner, mode, times, attributes.
absl::Status CopyEntry(int from_directory, const char* name, int to_directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_FILE_ATTRIBUTES_H_
