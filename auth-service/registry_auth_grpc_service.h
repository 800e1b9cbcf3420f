#ifndef AUTH_SERVICE_REGISTRY_AUTH_GRPC_SERVICE_H_
#define AUTH_SERVICE_REGISTRY_AUTH_GRPC_SERVICE_H_

// The gRPC edge of auth-service: makes a CallContext, calls the handler, converts the status, logs
// one line. Thread-safe.

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include "auth-service/registry_auth_handlers.h"
#include "common/time/timer_queue.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"

namespace contree {

class RegistryAuthGrpcService final : public auth::v1::RegistryAuthService::Service {
 public:
  // Must outlive it.
  explicit RegistryAuthGrpcService(RegistryAuthHandlers* handlers) : handlers_(handlers) {}

  grpc::Status GetTokenPage(grpc::ServerContext* context,
                            const auth::v1::GetTokenPageRequest* request,
                            auth::v1::GetTokenPageResponse* response) override;
  grpc::Status StoreCredentials(grpc::ServerContext* context,
                                const auth::v1::StoreCredentialsRequest* request,
                                auth::v1::StoreCredentialsResponse* response) override;
  grpc::Status DeleteCredentials(grpc::ServerContext* context,
                                 const auth::v1::DeleteCredentialsRequest* request,
                                 auth::v1::DeleteCredentialsResponse* response) override;
  grpc::Status ListCredentials(grpc::ServerContext* context,
                               const auth::v1::ListCredentialsRequest* request,
                               auth::v1::ListCredentialsResponse* response) override;
  grpc::Status ResolveImport(grpc::ServerContext* context,
                             const auth::v1::ResolveImportRequest* request,
                             auth::v1::ResolveImportResponse* response) override;

 private:
  RegistryAuthHandlers* const handlers_;
  TimerQueue timers_;
};

}  // namespace contree

#endif  // AUTH_SERVICE_REGISTRY_AUTH_GRPC_SERVICE_H_
