#ifndef CONTREE_SERVICE_FILE_HANDLERS_H_
#define CONTREE_SERVICE_FILE_HANDLERS_H_

// The RPCs about files: reading those of an image without running anything, finding and uploading
// those for runs. The errors are those of the proto.

#include <functional>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
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
  absl::StatusOr<v1::FindFilesResponse> FindFiles(const v1::FindFilesRequest& request,
                                                  const CallContext& context);
  // `next` gives the messages in turn, nullopt at the end.
  absl::StatusOr<v1::UploadFileResponse> UploadFile(
      const std::function<absl::StatusOr<std::optional<v1::UploadFileRequest>>()>& next,
      const CallContext& context);

 private:
  ApiDirectory* const apis_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_FILE_HANDLERS_H_
