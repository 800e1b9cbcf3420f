#ifndef LOCAL_BACKEND_IMAGES_IMAGE_ARCHIVE_H_
#define LOCAL_BACKEND_IMAGES_IMAGE_ARCHIVE_H_

// A part of an image as a PAX archive: owners, modes, times, links, extended attributes.
// Thread-safe.

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "local-backend/images/image_reader.h"

namespace contree {

// Hands the archive of `path` (a file, or a directory and all below it) to `sink` piece by piece.
// Names are relative to the image's root and begin with `path`. Sockets are left out: an archive
// cannot hold them. NotFound: no such path. FailedPrecondition: a loop of links. Cancelled: `sink`
// returned false. After an error what was handed out has no end of an archive, so that nobody takes
// it for whole.
absl::Status WriteArchive(const ImageReader& reader, const std::string& path,
                          absl::FunctionRef<bool(absl::string_view)> sink);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_IMAGE_ARCHIVE_H_
