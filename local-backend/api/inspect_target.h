#ifndef LOCAL_BACKEND_API_INSPECT_TARGET_H_
#define LOCAL_BACKEND_API_INSPECT_TARGET_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "local-backend/api/routes.h"
#include "local-backend/images/image_reader.h"

namespace contree {

// How a path is answered that is there but cannot be used as asked.
inline constexpr int kUnusablePath = 422;

// The image that a request under /inspect/{uuid} is about, and the path in it.
struct InspectTarget {
  std::shared_ptr<const ImageReader> reader;
  std::string path;  // "/" where the request has none
};

// NotFound: no such image.
absl::StatusOr<InspectTarget> OpenInspectTarget(ApiCall& call);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_INSPECT_TARGET_H_
