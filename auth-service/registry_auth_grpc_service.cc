#include "auth-service/registry_auth_grpc_service.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/sync_call.h"
#include "common/secret/secret_string.h"
#include "common/status/grpc_status.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

template <typename Request, typename Response>
grpc::Status Unary(const char* method, const grpc::ServerContext* server_context,
                   TimerQueue& timers, RegistryAuthHandlers* handlers,
                   absl::StatusOr<Response> (RegistryAuthHandlers::*handler)(const Request&,
                                                                             const CallContext&),
                   const Request& request, Response* response) {
  const absl::Time started = absl::Now();
  const SyncCall call(server_context, &timers);
  absl::StatusOr<Response> result = (handlers->*handler)(request, call.context());
  if (result.ok()) response->Swap(&*result);
  LogFields fields = {
      {"method", method},
      {"request_id", call.context().request_id},
      {"code", absl::StatusCodeToString(result.status().code())},
      {"milliseconds", absl::StrCat(absl::ToInt64Milliseconds(absl::Now() - started))}};
  if (!result.ok()) fields.emplace_back("error", std::string(result.status().message()));
  LogInfo("rpc", fields);
  return ToGrpcStatus(result.status());
}

}  // namespace

grpc::Status RegistryAuthGrpcService::GetTokenPage(grpc::ServerContext* context,
                                                   const auth::v1::GetTokenPageRequest* request,
                                                   auth::v1::GetTokenPageResponse* response) {
  return Unary("GetTokenPage", context, timers_, handlers_, &RegistryAuthHandlers::GetTokenPage,
               *request, response);
}

grpc::Status RegistryAuthGrpcService::StoreCredentials(
    grpc::ServerContext* context, const auth::v1::StoreCredentialsRequest* request,
    auth::v1::StoreCredentialsResponse* response) {
  const grpc::Status status = Unary("StoreCredentials", context, timers_, handlers_,
                                    &RegistryAuthHandlers::StoreCredentials, *request, response);
  // The call owns the message, and nobody looks at it any more.
  Wipe(*const_cast<auth::v1::StoreCredentialsRequest*>(request)->mutable_token());
  return status;
}

grpc::Status RegistryAuthGrpcService::DeleteCredentials(
    grpc::ServerContext* context, const auth::v1::DeleteCredentialsRequest* request,
    auth::v1::DeleteCredentialsResponse* response) {
  return Unary("DeleteCredentials", context, timers_, handlers_,
               &RegistryAuthHandlers::DeleteCredentials, *request, response);
}

grpc::Status RegistryAuthGrpcService::ListCredentials(
    grpc::ServerContext* context, const auth::v1::ListCredentialsRequest* request,
    auth::v1::ListCredentialsResponse* response) {
  return Unary("ListCredentials", context, timers_, handlers_,
               &RegistryAuthHandlers::ListCredentials, *request, response);
}

grpc::Status RegistryAuthGrpcService::ResolveImport(grpc::ServerContext* context,
                                                    const auth::v1::ResolveImportRequest* request,
                                                    auth::v1::ResolveImportResponse* response) {
  return Unary("ResolveImport", context, timers_, handlers_, &RegistryAuthHandlers::ResolveImport,
               *request, response);
}

}  // namespace contree
