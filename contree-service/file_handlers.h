#ifndef CONTREE_SERVICE_FILE_HANDLERS_H_
#define CONTREE_SERVICE_FILE_HANDLERS_H_

// The RPCs that read an image's files without running anything. The errors are those of the proto.

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/rpc/call_context.h"
#include "contree-service/api/api_directory.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {

// Thread-safe. A sink's own error ends the reading and is returned.
class FileHandlers {
 public:
  explicit FileHandlers(ApiDirectory* apis) : apis_(apis) {}  // which must outlive it

  absl::Status ListFiles(const v1::ListFilesRequest& request, const CallContext& context,
                         absl::FunctionRef<absl::Status(const v1::ListFilesResponse&)> sink);
  absl::Status ReadFile(const v1::ReadFileRequest& request, const CallContext& context,
                        absl::FunctionRef<absl::Status(const v1::ReadFileResponse&)> sink);

 private:
  ApiDirectory* const apis_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_FILE_HANDLERS_H_
