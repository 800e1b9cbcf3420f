#ifndef SYNC_SERVICE_PLATFORM_FILES_H_
#define SYNC_SERVICE_PLATFORM_FILES_H_

// The files of the platform, as contree-service shows them: which contents are there, and bringing
// one there.

#include <grpcpp/channel.h>
#include <grpcpp/support/client_callback.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/rpc/call_context.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "sync-service/store/sync_cache.h"

namespace contree {

// One content on its way. Push and Cancel are called one at a time. Nothing of it blocks; gRPC's
// threads push it forward.
class ContentUpload {
 public:
  virtual ~ContentUpload() = default;

  // Appends to the content; `is_last` ends it.
  virtual void Push(std::string bytes, bool is_last) = 0;
  // Gives it up: it ends with Cancelled, unless it ended before.
  virtual void Cancel() = 0;
  // How many bytes were pushed and have not left yet.
  virtual size_t waiting_bytes() const = 0;
};

// Small contents on their way together.
class ContentBatch {
 public:
  virtual ~ContentBatch() = default;
  // As ContentUpload::Cancel.
  virtual void Cancel() = 0;
};

struct SmallContent {
  std::string sha256;  // 32 bytes
  std::string data;
};

// Thread-safe.
class PlatformFiles {
 public:
  // Until then every call fails with Unavailable.
  void ConnectTo(const std::shared_ptr<grpc::Channel>& contree_service);

  // The platform of context.tenant, by the name that what is remembered of it is kept under.
  absl::StatusOr<std::string> FindPlatform(const CallContext& context) const;

  // Those of these contents (32 bytes each) that the platform holds. Any number; waits.
  absl::StatusOr<std::vector<KnownBlob>> Find(absl::Span<const std::string> sha256s,
                                              const CallContext& context) const;

  // What an upload tells, on gRPC's threads: it must not block. `moved`: bytes have left, and there
  // is room for more. `ended`, once: the platform's id of the content, or InvalidArgument: too
  // large for the platform; DataLoss: it has another SHA-256.
  struct UploadEvents {
    std::function<void()> moved;
    std::function<void(absl::StatusOr<std::string> uuid)> ended;
  };
  // Begins to upload a content of which size and SHA-256 (32 bytes) are known. It lives until it
  // has ended, whoever holds it.
  absl::StatusOr<std::shared_ptr<ContentUpload>> Upload(absl::string_view sha256, int64_t size,
                                                        const CallContext& context,
                                                        UploadEvents events) const;

  // Begins to upload small contents, 100 and 1 MiB at most. `ended`, once and on gRPC's threads,
  // must not block: for each of them as UploadEvents::ended, or why there was no answer for any.
  using BatchEnd =
      std::function<void(absl::StatusOr<std::vector<absl::StatusOr<std::string>>> uuids)>;
  absl::StatusOr<std::shared_ptr<ContentBatch>> Upload(std::vector<SmallContent> contents,
                                                       const CallContext& context,
                                                       BatchEnd ended) const;

 private:
  absl::StatusOr<std::shared_ptr<v1::ContreeService::Stub>> stub() const;

  mutable absl::Mutex mutex_;
  std::shared_ptr<v1::ContreeService::Stub> stub_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // SYNC_SERVICE_PLATFORM_FILES_H_
