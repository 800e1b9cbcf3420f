#ifndef COMMON_SERVER_CALL_METER_H_
#define COMMON_SERVER_CALL_METER_H_

// Counts and times the calls of a gRPC server (contree_rpc_calls_total,
// contree_rpc_duration_seconds) and logs each at debug level. Health checks are left out.

#include <grpcpp/support/server_interceptor.h>

#include <memory>

namespace contree {

// To be created behind whatever tells the caller (MakeCallerTelling).
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallMeter();

}  // namespace contree

#endif  // COMMON_SERVER_CALL_METER_H_
