#ifndef GATEWAY_TOOLS_SYNC_SERVICE_STUB_H_
#define GATEWAY_TOOLS_SYNC_SERVICE_STUB_H_

#include "absl/status/statusor.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "gateway/mcp/services.h"

namespace contree::gateway {

// The stub of sync-service. FailedPrecondition: this gateway was started without one.
inline absl::StatusOr<sync::v1::SyncService::StubInterface*> SyncServiceStub(
    const Services& services) {
  if (services.sync == nullptr) {
    return absl::FailedPreconditionError(
        "this server cannot sync directories: it was started without sync-service; its operator "
        "can name one with --sync-service HOST:PORT");
  }
  return services.sync.get();
}

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_SYNC_SERVICE_STUB_H_
