#ifndef SYNC_SERVICE_SYNC_SERVICE_H_
#define SYNC_SERVICE_SYNC_SERVICE_H_

// sync-service as a part: its stores and the gRPC service, without a server. Thread-safe. Whoever
// makes it runs grpc_service() in a server of his own, drains that, and destroys this last.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace contree {

struct SyncServiceOptions {
  // Where the stores lie (sync.db: the directory states; sync-cache.db), made 0700 if missing.
  std::string state_dir;
  // None: ConnectTo follows.
  std::shared_ptr<grpc::Channel> contree_service = nullptr;
};

class SyncService {
 public:
  // FailedPrecondition: a newer version wrote a store. DataLoss: the store of the directory states
  // is damaged. PermissionDenied and others: state_dir cannot be used.
  static absl::StatusOr<std::unique_ptr<SyncService>> Create(const SyncServiceOptions& options);
  virtual ~SyncService() = default;

  virtual grpc::Service* grpc_service() = 0;

  // For a contree-service in the same server, which has no channel before it runs. Calls that come
  // earlier fail with UNAVAILABLE.
  virtual void ConnectTo(const std::shared_ptr<grpc::Channel>& contree_service) = 0;
};

}  // namespace contree

#endif  // SYNC_SERVICE_SYNC_SERVICE_H_
