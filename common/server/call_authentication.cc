#include "common/server/call_authentication.h"

#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/auth/method_access.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"

namespace contree {
namespace {

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;
using grpc::experimental::InterceptionHookPoints;

absl::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

// nullopt: it was sent more than once; whoever reads it next might take another one than we did.
std::optional<absl::string_view> Only(const Metadata& metadata, const char* key) {
  const auto [first, last] = metadata.equal_range(key);
  if (first == last) return "";
  if (std::next(first) != last) return std::nullopt;
  return View(first->second);
}

class CallGuard final : public grpc::AuthMetadataProcessor {
 public:
  CallGuard(std::shared_ptr<Authenticator> authenticator, std::shared_ptr<TenantLimits> limits)
      : authenticator_(std::move(authenticator)), limits_(std::move(limits)) {}

  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* /*of the connection*/,
                       OutputMetadata* /*consumed: it is forwarded*/,
                       OutputMetadata* /*response*/) override {
    return ToGrpcStatus(Judge(metadata));
  }

 private:
  absl::Status Judge(const Metadata& metadata) {
    const std::optional<Scope> scope = ScopeOfMethod(Only(metadata, ":path").value_or(""));
    if (!scope.has_value()) return absl::OkStatus();
    const std::optional<absl::string_view> authorization = Only(metadata, kAuthorizationKey);
    if (authenticator_ == nullptr) {
      if (authorization == "") return Take(kLocalTenant);
      return absl::UnauthenticatedError(
          "this server does not look at tokens, so it takes none: start it with --auth=keys or "
          "--auth=jwt");
    }
    if (!authorization.has_value()) return NotAuthenticated();
    const absl::StatusOr<Identity> identity =
        authenticator_->Authenticate(BearerTokenOf(*authorization));
    if (!identity.ok()) return identity.status();
    return identity->scopes.Has(*scope) ? Take(identity->tenant) : ScopeMissing(*scope);
  }

  absl::Status Take(absl::string_view tenant) {
    if (limits_ == nullptr) return absl::OkStatus();
    const absl::Duration wait = limits_->TakeRequest(tenant);
    return wait == absl::ZeroDuration() ? absl::OkStatus() : TenantLimits::TooManyRequests(wait);
  }

  const std::shared_ptr<Authenticator> authenticator_;
  const std::shared_ptr<TenantLimits> limits_;
};

// Of one call; lives as long as its ServerContext.
class CallerTelling final : public grpc::experimental::Interceptor {
 public:
  CallerTelling(Authenticator& authenticator, grpc::experimental::ServerRpcInfo* call)
      : authenticator_(authenticator), call_(call) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      Tell(*methods->GetRecvInitialMetadata());
    }
    methods->Proceed();
  }

 private:
  void Tell(Metadata& metadata) {
    const absl::StatusOr<Identity> identity =
        authenticator_.Authenticate(BearerTokenOf(Only(metadata, kAuthorizationKey).value_or("")));
    if (identity.ok()) {
      caller_ = {.tenant = identity->tenant, .principal = identity->principal};
    } else if (ScopeOfMethod(call_->method()).has_value()) {
      call_->server_context()->TryCancel();
    }
    AddKnownCaller(caller_, metadata);
  }

  Authenticator& authenticator_;
  grpc::experimental::ServerRpcInfo* const call_;
  KnownCaller caller_;
};

class CallerTellingFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallerTellingFactory(std::shared_ptr<Authenticator> authenticator)
      : authenticator_(std::move(authenticator)) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* call) override {
    return new CallerTelling(*authenticator_, call);
  }

 private:
  const std::shared_ptr<Authenticator> authenticator_;
};

}  // namespace

std::shared_ptr<grpc::AuthMetadataProcessor> MakeCallGuard(
    std::shared_ptr<Authenticator> authenticator, std::shared_ptr<TenantLimits> limits) {
  return std::make_shared<CallGuard>(std::move(authenticator), std::move(limits));
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallerTelling(
    std::shared_ptr<Authenticator> authenticator) {
  return std::make_unique<CallerTellingFactory>(std::move(authenticator));
}

}  // namespace contree
