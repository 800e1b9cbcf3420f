#ifndef GATEWAY_RESOURCES_IMAGE_URI_H_
#define GATEWAY_RESOURCES_IMAGE_URI_H_

// What the resources below contree://image/{image}/ have in common. Thread-safe.

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gateway/resources/resource.h"

namespace contree::gateway {

// "etc/hosts" → "/etc/hosts"; "." and "" are the root.
std::string PathInImage(absl::string_view variable);

// What a UUID names never changes; what a tag names may be another image in a moment.
CacheHints ImageCacheHints(absl::string_view image);

// A path of the wrong kind is a mistake in the URI: FailedPrecondition becomes InvalidArgument, the
// rest stays.
absl::Status MistakeInUri(const absl::Status& status);

}  // namespace contree::gateway

#endif  // GATEWAY_RESOURCES_IMAGE_URI_H_
