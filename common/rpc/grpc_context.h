#ifndef COMMON_RPC_GRPC_CONTEXT_H_
#define COMMON_RPC_GRPC_CONTEXT_H_

// CallContext on gRPC's two sides. The request id travels as the metadata key "x-request-id",
// the trace under its W3C names, the caller's token as "authorization". Tenant and principal do not
// travel: a server's authentication (common/server/call_authentication.h) tells them.

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/string_ref.h>

#include <map>
#include <stop_token>
#include <string>

#include "absl/strings/string_view.h"
#include "common/rpc/call_context.h"

namespace contree {

inline constexpr char kAuthorizationKey[] = "authorization";

// Who a server's authentication has found a call to come from. The tenant "" is nobody.
struct KnownCaller {
  std::string tenant;
  std::string principal;
};

// Tells IncomingCall, by keys in the call's metadata that no client can know: this process made
// them up. A call that nobody was told of is of kLocalTenant. `caller` must outlive the call.
void AddKnownCaller(const KnownCaller& caller,
                    std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

// A client context with the deadline and metadata of `context`, cancelled when context.stop is
// requested. It must outlive the call; `context` need not.
class OutgoingCall {
 public:
  explicit OutgoingCall(const CallContext& context);
  grpc::ClientContext* client_context() { return &client_context_; }

 private:
  struct Cancel {
    grpc::ClientContext* client_context;
    void operator()() const { client_context->TryCancel(); }
  };
  grpc::ClientContext client_context_;
  std::stop_callback<Cancel> on_stop_;
};

// What an arriving call says of itself; a missing request id is made. `stop` stays empty: a
// synchronous handler asks IsCancelled, a reactor has OnCancel.
CallContext IncomingCall(const grpc::ServerContextBase& server_context);

// Parts of that, for who needs nothing else: the tenant; the request id, empty where none was sent.
// Both live as long as the call.
absl::string_view TenantOf(const grpc::ServerContextBase& server_context);
absl::string_view RequestIdOf(const grpc::ServerContextBase& server_context);

}  // namespace contree

#endif  // COMMON_RPC_GRPC_CONTEXT_H_
