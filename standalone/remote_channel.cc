#include "standalone/remote_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_interceptor.h>

#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/auth/authenticator.h"
#include "common/files/reloaded_file.h"
#include "common/files/state_directory.h"
#include "common/http/base_url.h"
#include "common/rpc/grpc_context.h"
#include "common/rpc/service_channel.h"
#include "common/server/listen_address.h"
#include "common/status/status_macros.h"

namespace contree::standalone {
namespace {

using grpc::experimental::InterceptionHookPoints;

constexpr size_t kMaxCaBytes = 4 << 20;

bool IsToken(absl::string_view token) {
  if (token.empty() || token.size() > kMaxBearerTokenBytes) return false;
  for (const unsigned char c : token) {
    if (!absl::ascii_isgraph(c)) return false;
  }
  return true;
}

// Adds the token to each call. Thread-safe.
class TokenCredentials final : public grpc::MetadataCredentialsPlugin {
 public:
  static absl::StatusOr<std::unique_ptr<TokenCredentials>> Create(const RemoteOptions& options) {
    auto credentials = std::make_unique<TokenCredentials>();
    if (options.token_file.empty()) {
      if (!IsToken(options.token)) {
        return absl::InvalidArgumentError(
            "--remote takes a token: set CONTREE_MCP_REMOTE_TOKEN, or name a file that holds it "
            "with "
            "--remote-token-file");
      }
      credentials->Set(options.token);
      return credentials;
    }
    ASSIGN_OR_RETURN(credentials->file_,
                     ReloadedFile::Open(
                         options.token_file, kMaxBearerTokenBytes,
                         [credentials = credentials.get()](const std::string& content) {
                           const absl::string_view token = absl::StripAsciiWhitespace(content);
                           if (!IsToken(token)) {
                             return absl::InvalidArgumentError("it must hold a token, on one line");
                           }
                           credentials->Set(token);
                           return absl::OkStatus();
                         }));
    return credentials;
  }

  bool IsBlocking() const override { return false; }
  const char* GetType() const override { return "contree-token"; }
  grpc::Status GetMetadata(grpc::string_ref /*service_url*/, grpc::string_ref /*method_name*/,
                           const grpc::AuthContext& /*channel*/,
                           std::multimap<grpc::string, grpc::string>* metadata) override {
    const absl::MutexLock lock(&mutex_);
    metadata->emplace(kAuthorizationKey, absl::StrCat("Bearer ", token_));
    return grpc::Status::OK;
  }
  // Never the token.
  std::string DebugString() override { return "contree-token"; }

 private:
  void Set(absl::string_view token) {
    const absl::MutexLock lock(&mutex_);
    token_ = std::string(token);
  }

  absl::Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ReloadedFile> file_;  // last: its thread sets the token
};

// Whether gRPC itself says that there was no connection; otherwise a service did not reach
// something else.
bool IsConnectionLoss(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return false;
  for (const char* text :
       {"failed to connect", "Failed to connect", "Socket closed", "onnection reset",
        "onnection refused", "watchdog timeout", "GOAWAY", "Broken pipe", "andshake",
        "DNS resolution failed", "Endpoint closing", "Transport closed", "roken transport"}) {
    if (absl::StrContains(status.error_message(), text)) return true;
  }
  return false;
}

class LossTelling final : public grpc::experimental::Interceptor {
 public:
  explicit LossTelling(const std::string& where) : where_(where) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_STATUS)) {
      grpc::Status* status = methods->GetRecvStatus();
      if (status != nullptr && IsConnectionLoss(*status)) {
        *status = {grpc::StatusCode::UNAVAILABLE,
                   absl::StrCat("the connection to ", where_, " was lost or cannot be made (",
                                status->error_message(), ")")};
      }
    }
    methods->Proceed();
  }

 private:
  const std::string& where_;
};

class LossTellingFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit LossTellingFactory(std::string where) : where_(std::move(where)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*call*/) override {
    return new LossTelling(where_);
  }

 private:
  const std::string where_;
};

}  // namespace

RemoteOptions RemoteOf(const Options& options) {
  return {.url = options.remote,
          .token = options.remote_token,
          .token_file = options.remote_token_file,
          .ca_file = options.remote_ca};
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToRemote(const RemoteOptions& options) {
  ASSIGN_OR_RETURN(const BaseUrl url, ParseBaseUrl(options.url));
  if (!url.is_tls || !url.prefix.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--remote is '", options.url, "'; it must look like https://HOST[:PORT]"));
  }
  const grpc::ChannelArguments arguments = ServiceChannelArguments();
  ASSIGN_OR_RETURN(std::unique_ptr<TokenCredentials> token, TokenCredentials::Create(options));
  grpc::SslCredentialsOptions tls;
  if (!options.ca_file.empty()) {
    ASSIGN_OR_RETURN(tls.pem_root_certs, ReadFile(options.ca_file, kMaxCaBytes));
    if (!absl::StrContains(tls.pem_root_certs, "BEGIN CERTIFICATE")) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.ca_file, " holds no certificates (PEM)"));
    }
  }
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<LossTellingFactory>(options.url));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      FormatAddress(url.host, url.port),
      grpc::CompositeChannelCredentials(grpc::SslCredentials(tls),
                                        grpc::MetadataCredentialsFromPlugin(std::move(token))),
      arguments, std::move(interceptors));
}

}  // namespace contree::standalone
