#ifndef GATEWAY_TOOLS_IMAGE_FILES_H_
#define GATEWAY_TOOLS_IMAGE_FILES_H_

// Files and directories of images as whole values, for answers that hold them whole. Thread-safe.
// The errors are contree-service's own, and FailedPrecondition: more than an answer can hold.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"
#include "contree/v1/image.pb.h"
#include "gateway/mcp/services.h"

namespace contree::gateway {

// At most 10 MiB.
absl::StatusOr<std::string> ReadImageFile(const Services& services, const std::string& image,
                                          const std::string& path, const CallContext& context);

// At most 50,000 entries, sorted by name.
absl::StatusOr<std::vector<contree::v1::FileEntry>> ListImageDirectory(const Services& services,
                                                                       const std::string& image,
                                                                       const std::string& path,
                                                                       const CallContext& context);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_IMAGE_FILES_H_
