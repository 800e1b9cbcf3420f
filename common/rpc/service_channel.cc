#include "common/rpc/service_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_interceptor.h>
#include <stdlib.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "common/rpc/restart_patience.h"
#include "common/server/grpc_server.h"
#include "common/server/listen_address.h"
#include "common/status/status_macros.h"

namespace contree {

namespace {

// While no call waits, gRPC looks at a client's connection every 5 s only, so that the three steps
// of a TLS handshake after a restart would take 15 s of failing calls. It reads this once, when it
// is first used.
void LookAtConnectionsOften() {
  static std::once_flag once;
  std::call_once(
      once, [] { setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "250", /*overwrite=*/0); });
}

struct Methods {
  const char* service;
  std::vector<const char*> names;
};

// Those that may be sent again when nobody knows whether they arrived. Not RunInstance and
// ImportImage, which would start a second operation; nor WatchOperation and WatchOperations, whose
// callers take a stream up again where it ended; nor Sync, a conversation.
const std::vector<Methods>& RepeatableMethods() {
  static const auto& methods = *new std::vector<Methods>{
      {"contree.v1.ContreeService",
       {"ListImages", "GetImage", "SetTag", "GetImageLineage", "ListImageOrigins", "GetOperation",
        "ListOperations", "CancelOperation", "ListFiles", "ReadFile", "ReadArchive", "Grep",
        "UploadFile", "UploadFiles", "FindFiles", "GetIdentity"}},
      {"contree.auth.v1.RegistryAuthService",
       {"GetTokenPage", "StoreCredentials", "DeleteCredentials", "ListCredentials",
        "ResolveImport"}},
      {"contree.sync.v1.SyncService", {"GetDirectoryState"}}};
  return methods;
}

// Says of a call that was not to be made twice, and whose connection broke, that nobody knows
// whether it was made: UNAVAILABLE would mean that it was not.
class LossTelling final : public grpc::experimental::Interceptor {
 public:
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::POST_RECV_STATUS)) {
      grpc::Status* const status = methods->GetRecvStatus();
      const auto* const trailers = methods->GetRecvTrailingMetadata();
      // The service marks its own (common/server/grpc_server.cc), and what could not be sent waits.
      const bool is_answer = trailers != nullptr && trailers->contains(kRetryPushback);
      if (status != nullptr && status->error_code() == grpc::StatusCode::UNAVAILABLE &&
          !is_answer) {
        *status = {grpc::StatusCode::UNKNOWN,
                   absl::StrCat("the connection to the service broke before it answered (",
                                status->error_message(),
                                "): it is not known whether the operation was started; look with "
                                "list_operations before you try again")};
      }
    }
    methods->Proceed();
  }
};

class LossTellingFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* call) override {
    const absl::string_view method = call->method();
    const bool starts_something = method == "/contree.v1.ContreeService/RunInstance" ||
                                  method == "/contree.v1.ContreeService/ImportImage";
    return starts_something ? new LossTelling() : nullptr;
  }
};

std::shared_ptr<grpc::Channel> Connect(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments = ServiceChannelArguments();
  arguments.SetServiceConfigJSON(ServiceConfig());
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 250);
  // A pod that was replaced has another address; by default it is asked for every 30 s at most.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1'000);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  // What comes back passes them from the last to the first.
  interceptors.push_back(MakeRestartPatience(address));
  interceptors.push_back(std::make_unique<LossTellingFactory>());
  return grpc::experimental::CreateCustomChannelWithInterceptors(address, credentials, arguments,
                                                                 std::move(interceptors));
}

}  // namespace

std::string ServiceConfig() {
  std::vector<std::string> names;
  for (const Methods& methods : RepeatableMethods()) {
    for (const absl::string_view name : methods.names) {
      names.push_back(
          absl::StrCat(R"({"service": ")", methods.service, R"(", "method": ")", name, R"("})"));
    }
  }
  // Only round_robin looks at the health of where it sends calls.
  return absl::StrCat(R"({
  "loadBalancingConfig": [{"round_robin": {}}],
  "healthCheckConfig": {"serviceName": ""},
  "methodConfig": [
    {"name": [{}], "waitForReady": true},
    {"name": [)",
                      absl::StrJoin(names, ", "), R"(],
     "waitForReady": true,
     "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "2s",
                     "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}
  ]})");
}

grpc::ChannelArguments ServiceChannelArguments() {
  LookAtConnectionsOften();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxGrpcMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxGrpcMessageBytes);
  // A peer that vanished without a word is noticed while a call waits for it.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  return arguments;
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  LookAtConnectionsOften();
  return Connect(address, grpc::InsecureChannelCredentials());
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const std::string& address,
                                                         const TlsFiles& tls) {
  if (tls.empty() || absl::StartsWith(address, kUnixScheme)) return ChannelTo(address);
  LookAtConnectionsOften();
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                   TlsChannelCredentialsOf(tls));
  return Connect(address, credentials);
}

}  // namespace contree
