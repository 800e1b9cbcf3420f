#ifndef CONTREE_SERVICE_API_IMAGE_JSON_H_
#define CONTREE_SERVICE_API_IMAGE_JSON_H_

// The API's images and directory entries as our messages.

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "contree/v1/image.pb.h"

namespace contree {

v1::Image ImageFromJson(const nlohmann::json& json);

// A DirectoryList of `directory`, sorted by name. Each entry's JSON is let go once it is read: a
// large listing never lies whole in memory as a tree. `what` names it in the error. Unavailable:
// not JSON.
absl::StatusOr<std::vector<v1::FileEntry>> EntriesFromJson(absl::string_view text,
                                                           absl::string_view directory,
                                                           absl::string_view what);

}  // namespace contree

#endif  // CONTREE_SERVICE_API_IMAGE_JSON_H_
