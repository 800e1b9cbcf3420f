#ifndef COMMON_STATUS_GRPC_STATUS_H_
#define COMMON_STATUS_GRPC_STATUS_H_

// The one place where absl::Status crosses a gRPC edge. Codes carry over by number; the text
// carries over whole.

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace contree {

grpc::Status ToGrpcStatus(const absl::Status& status);
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace contree

#endif  // COMMON_STATUS_GRPC_STATUS_H_
