#include "gateway/testing/fake_registry_auth_service.h"

#include "absl/strings/str_cat.h"

namespace contree::gateway {

grpc::Status FakeRegistryAuthService::GetTokenPage(grpc::ServerContext*,
                                                   const auth::v1::GetTokenPageRequest* request,
                                                   auth::v1::GetTokenPageResponse* response) {
  response->set_registry(request->registry_url());
  if (request->registry_url() == "hub.example") response->set_url("https://hub.example/tokens");
  response->set_instruction("Make a token.");
  return grpc::Status::OK;
}

grpc::Status FakeRegistryAuthService::StoreCredentials(
    grpc::ServerContext*, const auth::v1::StoreCredentialsRequest* request,
    auth::v1::StoreCredentialsResponse* response) {
  if (request->token() == "wrong") {
    return grpc::Status(
        grpc::StatusCode::PERMISSION_DENIED,
        absl::StrCat(request->registry_url(), " refuses the credentials of ", request->username()));
  }
  absl::MutexLock lock(&mutex_);
  stored_[request->registry_url()] = {request->username(), request->token()};
  response->set_registry(request->registry_url());
  return grpc::Status::OK;
}

grpc::Status FakeRegistryAuthService::ResolveImport(grpc::ServerContext*,
                                                    const auth::v1::ResolveImportRequest* request,
                                                    auth::v1::ResolveImportResponse* response) {
  const std::string registry = request->reference().substr(0, request->reference().find('/'));
  absl::MutexLock lock(&mutex_);
  const auto found = stored_.find(registry);
  if (found == stored_.end() && !request->allow_anonymous()) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND,
                        absl::StrCat("there are no credentials for ", registry));
  }
  response->set_normalized_url(absl::StrCat("docker://", request->reference(), ":latest"));
  response->set_registry(registry);
  if (found != stored_.end()) {
    response->set_username(found->second.first);
    response->set_password(found->second.second);
    response->set_realm("https://tokens.example/");
  }
  return grpc::Status::OK;
}

}  // namespace contree::gateway
