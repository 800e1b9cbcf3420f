#ifndef CONTREE_SERVICE_IMAGE_REFERENCE_H_
#define CONTREE_SERVICE_IMAGE_REFERENCE_H_

// How a caller names an image: a UUID, "tag:NAME", or a bare NAME, which is tried as a tag.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace contree {

// Exactly one of the two is set.
struct ImageArgument {
  std::string uuid;  // canonical
  std::string tag;

  // As the API takes it where it takes both: the UUID, or "tag:NAME".
  std::string ForApi() const { return uuid.empty() ? "tag:" + tag : uuid; }
};

// InvalidArgument: it is empty, too long, or has characters that no tag has.
absl::StatusOr<ImageArgument> ParseImageArgument(absl::string_view text);

// Whether `tag` may be put on an image: at most 256 of a-z 0-9 _ - with : / . between.
// InvalidArgument: no.
absl::Status CheckTag(absl::string_view tag);

}  // namespace contree

#endif  // CONTREE_SERVICE_IMAGE_REFERENCE_H_
