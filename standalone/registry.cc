#include "standalone/registry.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/rpc/grpc_context.h"
#include "common/secret/secret_string.h"
#include "common/server/grpc_server.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "standalone/desk_auth_service.h"
#include "standalone/terminal.h"

namespace contree::standalone {
namespace {

using auth::v1::RegistryAuthService;
using nlohmann::ordered_json;
using Stub = RegistryAuthService::StubInterface;

constexpr absl::Duration kAnswerTimeout = absl::Seconds(90);

template <typename Request, typename Response>
absl::StatusOr<Response> Call(Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request) {
  const CallContext context = NewCallContext(kAnswerTimeout);
  OutgoingCall call(context);
  Response response;
  const grpc::Status status = (stub.*method)(call.client_context(), request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response;
}

std::string StoredAt(const auth::v1::StoredCredentials& entry) {
  if (!entry.has_stored_at()) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(entry.stored_at().seconds()),
                          absl::UTCTimeZone());
}

absl::Status List(Stub& stub, bool as_json, std::ostream& out) {
  ASSIGN_OR_RETURN(const auth::v1::ListCredentialsResponse response,
                   Call(stub, &Stub::ListCredentials, auth::v1::ListCredentialsRequest()));
  if (as_json) {
    ordered_json list = ordered_json::array();
    for (const auto& entry : response.credentials()) {
      ordered_json row = {{"registry", entry.registry()},
                          {"username", entry.username()},
                          {"source", entry.source()}};
      if (entry.has_stored_at()) row["stored_at"] = StoredAt(entry);
      list.push_back(std::move(row));
    }
    out << ordered_json{{"credentials", std::move(list)}}.dump() << std::endl;
    return absl::OkStatus();
  }
  if (response.credentials().empty()) {
    out << "No credentials. `contree-mcp registry add REGISTRY` stores some; public images need "
           "none."
        << std::endl;
  }
  for (const auto& entry : response.credentials()) {
    out << absl::StrFormat("%-30s %-20s %s", entry.registry(),
                           entry.username().empty() ? "-" : entry.username(), entry.source());
    if (entry.has_stored_at()) out << " " << StoredAt(entry);
    out << std::endl;
  }
  return absl::OkStatus();
}

absl::Status Add(Stub& stub, const Options& options, std::ostream& out) {
  auth::v1::GetTokenPageRequest question;
  question.set_registry_url(options.registry);
  ASSIGN_OR_RETURN(const auth::v1::GetTokenPageResponse page,
                   Call(stub, &Stub::GetTokenPage, question));
  if (SomebodyIsThere()) {
    if (!page.url().empty()) out << page.url() << "\n";
    out << page.instruction() << std::endl;
  }
  auth::v1::StoreCredentialsRequest request;
  request.set_registry_url(options.registry);
  request.set_username(options.registry_username);
  ASSIGN_OR_RETURN(*request.mutable_token(),
                   ReadSecret(absl::StrCat("Token for ", page.registry(), ": ")));
  const absl::StatusOr<auth::v1::StoreCredentialsResponse> stored =
      Call(stub, &Stub::StoreCredentials, request);
  Wipe(*request.mutable_token());
  RETURN_IF_ERROR(stored.status());
  out << stored->registry() << " accepted the credentials. They go to "
      << (stored->realm().empty()
              ? "this registry only."
              : absl::StrCat("it and its token server ", stored->realm(), " only."))
      << std::endl;
  return absl::OkStatus();
}

absl::Status Remove(Stub& stub, const Options& options, std::ostream& out) {
  auth::v1::DeleteCredentialsRequest request;
  request.set_registry_url(options.registry);
  ASSIGN_OR_RETURN(const auth::v1::DeleteCredentialsResponse response,
                   Call(stub, &Stub::DeleteCredentials, request));
  if (!response.deleted()) {
    return absl::NotFoundError(
        absl::StrCat("no credentials are stored here for ", options.registry,
                     "; those that `contree-mcp registry list` shows with a file are kept there"));
  }
  out << "The credentials for " << options.registry << " are forgotten." << std::endl;
  return absl::OkStatus();
}

}  // namespace

absl::Status RunRegistry(const Options& options, std::ostream& out) {
  const bool lists = options.registry_action == "list";
  if (!lists && options.registry.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("registry ", options.registry_action,
                     " needs the registry, for instance: contree-mcp registry ",
                     options.registry_action, " ghcr.io"));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<AuthService> service, OpenDeskAuthService(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<GrpcServer> server,
                   GrpcServer::Start({}, {service->grpc_service()}));
  const std::unique_ptr<Stub> stub = RegistryAuthService::NewStub(server->InProcessChannel());
  if (lists) return List(*stub, options.json, out);
  return options.registry_action == "add" ? Add(*stub, options, out) : Remove(*stub, options, out);
}

}  // namespace contree::standalone
