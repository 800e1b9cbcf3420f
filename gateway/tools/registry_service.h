#ifndef GATEWAY_TOOLS_REGISTRY_SERVICE_H_
#define GATEWAY_TOOLS_REGISTRY_SERVICE_H_

#include "absl/status/statusor.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "gateway/mcp/services.h"

namespace contree::gateway {

// The stub of auth-service. FailedPrecondition: this gateway was started without one.
inline absl::StatusOr<auth::v1::RegistryAuthService::StubInterface*> RegistryService(
    const Services& services) {
  if (services.registry_auth == nullptr) {
    return absl::FailedPreconditionError(
        "this server cannot reach registries: it was started without auth-service; its operator "
        "can name one with --auth-service HOST:PORT");
  }
  return services.registry_auth.get();
}

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_REGISTRY_SERVICE_H_
