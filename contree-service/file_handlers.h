#ifndef CONTREE_SERVICE_FILE_HANDLERS_H_
#define CONTREE_SERVICE_FILE_HANDLERS_H_

// The RPCs about files: reading those of an image without running anything, finding and uploading
// those for runs. The errors are those of the proto.
//
// Images never change, so listings and small files are kept, by tenant, platform and image. What
// was not found is not kept: an image may be new to the platform. What a tenant has uploaded is
// kept as far as the platform's list says it (UploadIndex).

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/limits/tenant_limits.h"
#include "common/rpc/call_context.h"
#include "common/threads/growing_thread_pool.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/cache/byte_bounded_cache.h"
#include "contree-service/cache/upload_index.h"
#include "contree-service/image_resolver.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {

// Thread-safe. A sink's own error ends the reading and is returned; none comes after the last
// message, and there is none where there is nothing to say.
class FileHandlers {
 public:
  // All must outlive it. `limits` null: tenants upload what they like.
  FileHandlers(ApiDirectory* apis, ImageResolver* resolver, TenantLimits* limits = nullptr);

  absl::Status ListFiles(
      const v1::ListFilesRequest& request, const CallContext& context,
      absl::FunctionRef<absl::Status(const v1::ListFilesResponse&, bool is_last)> sink);
  absl::Status ReadFile(
      const v1::ReadFileRequest& request, const CallContext& context,
      absl::FunctionRef<absl::Status(const v1::ReadFileResponse&, bool is_last)> sink);
  absl::Status ReadArchive(
      const v1::ReadArchiveRequest& request, const CallContext& context,
      absl::FunctionRef<absl::Status(const v1::ReadArchiveResponse&, bool is_last)> sink);
  absl::StatusOr<v1::GrepResponse> Grep(const v1::GrepRequest& request, const CallContext& context);
  absl::StatusOr<v1::FindFilesResponse> FindFiles(const v1::FindFilesRequest& request,
                                                  const CallContext& context);
  absl::StatusOr<v1::UploadFilesResponse> UploadFiles(const v1::UploadFilesRequest& request,
                                                      const CallContext& context);
  // `next` gives the messages in turn, nullopt at the end.
  absl::StatusOr<v1::UploadFileResponse> UploadFile(
      const std::function<absl::StatusOr<std::optional<v1::UploadFileRequest>>()>& next,
      const CallContext& context);

 private:
  struct TenantUploads {
    absl::Mutex mutex;
    UploadIndex index ABSL_GUARDED_BY(mutex);
  };
  // Has this thread and others do `work`, which takes what is next until nothing is left; returns
  // when all have. So many threads at most, this one included, and fewer where all are busy.
  void WorkTogether(size_t threads, const std::function<void()>& work);
  std::shared_ptr<TenantUploads> UploadsOf(const ContreeApi& api, const CallContext& context);

  ApiDirectory* const apis_;
  ImageResolver* const resolver_;
  TenantLimits* const limits_;
  ByteBoundedCache<std::vector<v1::ListFilesResponse>> listings_;
  ByteBoundedCache<v1::ReadFileResponse> files_;
  GrowingThreadPool helpers_;
  absl::Mutex uploads_mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<TenantUploads>> uploads_
      ABSL_GUARDED_BY(uploads_mutex_);
};

}  // namespace contree

#endif  // CONTREE_SERVICE_FILE_HANDLERS_H_
