#ifndef GATEWAY_TESTING_FAKE_REGISTRY_AUTH_SERVICE_H_
#define GATEWAY_TESTING_FAKE_REGISTRY_AUTH_SERVICE_H_

// An auth-service in memory for tests of what calls it: it takes a registry's name as it is and
// every token but "wrong". Thread-safe.

#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"

namespace contree::gateway {

class FakeRegistryAuthService final : public auth::v1::RegistryAuthService::Service {
 public:
  // Knows the page of "hub.example" only.
  grpc::Status GetTokenPage(grpc::ServerContext* context,
                            const auth::v1::GetTokenPageRequest* request,
                            auth::v1::GetTokenPageResponse* response) override;
  grpc::Status StoreCredentials(grpc::ServerContext* context,
                                const auth::v1::StoreCredentialsRequest* request,
                                auth::v1::StoreCredentialsResponse* response) override;
  // The registry is what stands before the first '/' of the reference.
  grpc::Status ResolveImport(grpc::ServerContext* context,
                             const auth::v1::ResolveImportRequest* request,
                             auth::v1::ResolveImportResponse* response) override;

 private:
  absl::Mutex mutex_;
  // Registry → user name and token.
  std::map<std::string, std::pair<std::string, std::string>> stored_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_FAKE_REGISTRY_AUTH_SERVICE_H_
