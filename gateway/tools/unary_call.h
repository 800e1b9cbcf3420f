#ifndef GATEWAY_TOOLS_UNARY_CALL_H_
#define GATEWAY_TOOLS_UNARY_CALL_H_

// One unary gRPC call with the deadline, request id and stop token of a CallContext.

#include "absl/status/statusor.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"

namespace contree::gateway {

// `method` is &Stub::Method of a generated StubInterface. The errors are the service's own.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallUnary(Stub& stub,
                                   grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                                   const Request& request, const CallContext& context) {
  OutgoingCall call(context);
  Response response;
  const grpc::Status status = (stub.*method)(call.client_context(), request, &response);
  if (!status.ok()) return FromGrpcStatus(status);
  return response;
}

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_UNARY_CALL_H_
