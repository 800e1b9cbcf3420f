#include "common/rpc/grpc_context.h"

#include <string>

#include "absl/time/clock.h"
#include "common/uuid/uuid.h"

namespace contree {
namespace {
constexpr char kRequestIdKey[] = "x-request-id";
// An id from outside ends in logs and headers: longer ones are replaced.
constexpr size_t kMaxRequestIdBytes = 128;
}  // namespace

OutgoingCall::OutgoingCall(const CallContext& context)
    : on_stop_(context.stop, Cancel{&client_context_}) {
  if (context.deadline != absl::InfiniteFuture())
    client_context_.set_deadline(absl::ToChronoTime(context.deadline));
  if (!context.request_id.empty()) client_context_.AddMetadata(kRequestIdKey, context.request_id);
}

CallContext IncomingCall(const grpc::ServerContextBase& server_context) {
  CallContext context;
  const auto deadline = server_context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max())
    context.deadline = absl::FromChrono(deadline);
  const auto& metadata = server_context.client_metadata();
  if (const auto id = metadata.find(kRequestIdKey);
      id != metadata.end() && id->second.size() <= kMaxRequestIdBytes) {
    context.request_id.assign(id->second.data(), id->second.size());
  }
  if (context.request_id.empty()) context.request_id = NewUuidV7(absl::Now());
  return context;
}

}  // namespace contree
