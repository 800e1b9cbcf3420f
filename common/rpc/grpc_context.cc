#include "common/rpc/grpc_context.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
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

absl::string_view Find(const grpc::ServerContextBase& context, const char* key) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(key);
  if (found == metadata.end()) return "";
  return {found->second.data(), found->second.size()};
}

// The property that a server's authentication set; empty where it set none.
std::string Property(const grpc::ServerContextBase& context, const char* name) {
  const std::shared_ptr<const grpc::AuthContext> authenticated = context.auth_context();
  if (authenticated == nullptr) return "";
  const std::vector<grpc::string_ref> values = authenticated->FindPropertyValues(name);
  return values.empty() ? "" : std::string(values.front().data(), values.front().size());
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

CallContext IncomingCall(const grpc::ServerContextBase& server_context) {
  CallContext context;
  const auto deadline = server_context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max())
    context.deadline = absl::FromChrono(deadline);
  if (const absl::string_view id = Find(server_context, kRequestIdKey);
      id.size() <= kMaxRequestIdBytes) {
    context.request_id = std::string(id);
  }
  if (const absl::string_view trace = Find(server_context, kTraceParentKey); !trace.empty()) {
    context.trace = CleanTraceContext(trace, Find(server_context, kTraceStateKey),
                                      Find(server_context, kBaggageKey));
  }
  if (context.request_id.empty()) context.request_id = NewUuidV7(absl::Now());
  if (std::string tenant = Property(server_context, kTenantProperty); !tenant.empty())
    context.tenant = std::move(tenant);
  context.principal = Property(server_context, kPrincipalProperty);
  absl::string_view token = Find(server_context, kAuthorizationKey);
  if (absl::ConsumePrefix(&token, kBearer)) context.bearer_token = std::string(token);
  return context;
}

}  // namespace contree
