#ifndef COMMON_RPC_GRPC_CONTEXT_H_
#define COMMON_RPC_GRPC_CONTEXT_H_

// CallContext on gRPC's two sides. The request id travels as the metadata key "x-request-id",
// the trace under its W3C names, the caller's token as "authorization". Tenant and principal do not
// travel: a server's authentication (GrpcServer) tells them by the properties named here.

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <stop_token>

#include "common/rpc/call_context.h"

namespace contree {

// Properties of a call's grpc::AuthContext. They are absent where nothing is authenticated: the
// tenant is then kLocalTenant.
inline constexpr char kTenantProperty[] = "contree-tenant";
inline constexpr char kPrincipalProperty[] = "contree-principal";
inline constexpr char kAuthorizationKey[] = "authorization";

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

}  // namespace contree

#endif  // COMMON_RPC_GRPC_CONTEXT_H_
