#include "common/rpc/grpc_context.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "common/auth/authenticator.h"
#include "common/uuid/uuid.h"

namespace contree {
namespace {
constexpr char kBearer[] = "Bearer ";
constexpr char kRequestIdKey[] = "x-request-id";
constexpr char kTraceParentKey[] = "traceparent";
constexpr char kTraceStateKey[] = "tracestate";
constexpr char kBaggageKey[] = "baggage";
// An id from outside ends in logs and headers: longer ones are replaced.
constexpr size_t kMaxRequestIdBytes = 128;

// nullopt: it was not sent.
std::optional<absl::string_view> FindAny(const grpc::ServerContextBase& context,
                                         const grpc::string_ref& key) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  return absl::string_view(found->second.data(), found->second.size());
}

absl::string_view Find(const grpc::ServerContextBase& context, const char* key) {
  return FindAny(context, key).value_or("");
}

const std::string& TenantKey() {
  static const std::string& key = *new std::string(absl::StrCat("tenant-", NewUuidV4()));
  return key;
}

const std::string& PrincipalKey() {
  static const std::string& key = *new std::string(absl::StrCat("principal-", NewUuidV4()));
  return key;
}

}  // namespace

OutgoingCall::OutgoingCall(const CallContext& context)
    : on_stop_(context.stop, Cancel{&client_context_}) {
  if (context.deadline != absl::InfiniteFuture())
    client_context_.set_deadline(absl::ToChronoTime(context.deadline));
  const auto add = [this](const char* key, const std::string& value) {
    if (!value.empty()) client_context_.AddMetadata(key, value);
  };
  if (!context.bearer_token.empty())
    client_context_.AddMetadata(kAuthorizationKey, absl::StrCat(kBearer, context.bearer_token));
  add(kRequestIdKey, context.request_id);
  add(kTraceParentKey, context.trace.traceparent);
  add(kTraceStateKey, context.trace.tracestate);
  add(kBaggageKey, context.trace.baggage);
}

void AddKnownCaller(const KnownCaller& caller,
                    std::multimap<grpc::string_ref, grpc::string_ref>& metadata) {
  metadata.emplace(TenantKey(), caller.tenant);
  metadata.emplace(PrincipalKey(), caller.principal);
}

absl::string_view TenantOf(const grpc::ServerContextBase& server_context) {
  return FindAny(server_context, TenantKey()).value_or(kLocalTenant);
}

absl::string_view RequestIdOf(const grpc::ServerContextBase& server_context) {
  const absl::string_view id = Find(server_context, kRequestIdKey);
  return id.size() <= kMaxRequestIdBytes ? id : "";
}

CallContext IncomingCall(const grpc::ServerContextBase& server_context) {
  CallContext context;
  const auto deadline = server_context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max())
    context.deadline = absl::FromChrono(deadline);
  context.request_id = std::string(RequestIdOf(server_context));
  if (const absl::string_view trace = Find(server_context, kTraceParentKey); !trace.empty()) {
    context.trace = CleanTraceContext(trace, Find(server_context, kTraceStateKey),
                                      Find(server_context, kBaggageKey));
  }
  if (context.request_id.empty()) context.request_id = NewUuidV7(absl::Now());
  if (const auto tenant = FindAny(server_context, TenantKey()); tenant.has_value()) {
    context.tenant = std::string(*tenant);
    context.principal = std::string(FindAny(server_context, PrincipalKey()).value_or(""));
  }
  context.bearer_token = std::string(BearerTokenOf(Find(server_context, kAuthorizationKey)));
  return context;
}

}  // namespace contree
