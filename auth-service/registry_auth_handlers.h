#ifndef AUTH_SERVICE_REGISTRY_AUTH_HANDLERS_H_
#define AUTH_SERVICE_REGISTRY_AUTH_HANDLERS_H_

// What the RPCs of RegistryAuthService do, without gRPC. Thread-safe.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "auth-service/registry/docker_config.h"
#include "auth-service/store/credential_store.h"
#include "common/registry/registry_client.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree/auth/v1/registry_auth_service.pb.h"

namespace contree {

class RegistryAuthHandlers {
 public:
  // All must outlive it. `foreign` is for the tenant of a desk alone (kLocalTenant).
  RegistryAuthHandlers(CredentialStore* store, RegistryClient* client, ForeignSources foreign,
                       Clock* clock);

  absl::StatusOr<auth::v1::GetTokenPageResponse> GetTokenPage(
      const auth::v1::GetTokenPageRequest& request, const CallContext& context);
  absl::StatusOr<auth::v1::StoreCredentialsResponse> StoreCredentials(
      const auth::v1::StoreCredentialsRequest& request, const CallContext& context);
  absl::StatusOr<auth::v1::DeleteCredentialsResponse> DeleteCredentials(
      const auth::v1::DeleteCredentialsRequest& request, const CallContext& context);
  absl::StatusOr<auth::v1::ListCredentialsResponse> ListCredentials(
      const auth::v1::ListCredentialsRequest& request, const CallContext& context);
  absl::StatusOr<auth::v1::ResolveImportResponse> ResolveImport(
      const auth::v1::ResolveImportRequest& request, const CallContext& context);

 private:
  // nullopt: there are none.
  absl::StatusOr<std::optional<RegistryAccess>> AccessTo(const std::string& registry,
                                                         const CallContext& context);

  CredentialStore* const store_;
  RegistryClient* const client_;
  const ForeignSources foreign_;
  Clock* const clock_;
  const std::string salt_;  // of this process: makes versions of what is not ours
};

}  // namespace contree

#endif  // AUTH_SERVICE_REGISTRY_AUTH_HANDLERS_H_
