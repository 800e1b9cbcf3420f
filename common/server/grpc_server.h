#ifndef COMMON_SERVER_GRPC_SERVER_H_
#define COMMON_SERVER_GRPC_SERVER_H_

// A gRPC server as every program here runs it: health (grpc.health.v1), reflection, keepalive,
// message limits, and a drain in the order that balancers need.

#include <grpcpp/server.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace contree {

// The largest message that one of our servers takes or client receives, in bytes.
inline constexpr int kMaxGrpcMessageBytes = 64 * 1024 * 1024;

struct GrpcServerOptions {
  // "HOST:PORT"; port 0: a free one. Empty: reachable in-process only. Without authentication only
  // loopback is accepted.
  std::string listen;
  // Full names of the services ("contree.v1.ContreeService") for which health answers SERVING
  // besides "".
  std::vector<std::string> health_names = {};
};

// Thread-safe.
class GrpcServer {
 public:
  // Serves `services`, which must outlive it. Health answers SERVING from the start.
  // InvalidArgument: listen is no HOST:PORT. PermissionDenied: not loopback. Unavailable: it cannot
  // be bound.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const GrpcServerOptions& options, const std::vector<grpc::Service*>& services);
  ~GrpcServer();  // drains with no grace

  // "127.0.0.1:41234"; empty without `listen`.
  const std::string& address() const { return address_; }
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // NOT_SERVING, then no new calls, then running calls get `grace` to end before they are
  // cancelled. Idempotent.
  void Drain(absl::Duration grace);

 private:
  GrpcServer(std::unique_ptr<grpc::Server> server, std::string address);

  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace contree

#endif  // COMMON_SERVER_GRPC_SERVER_H_
