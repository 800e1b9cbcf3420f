#ifndef COMMON_SERVER_GRPC_SERVER_H_
#define COMMON_SERVER_GRPC_SERVER_H_

// A gRPC server as every program here runs it: who may call (see call_authentication.h), health
// (grpc.health.v1), reflection, keepalive, message limits, and a drain in the order that clients
// and balancers need.
//
// An answer UNAVAILABLE that a handler gives before Retire is about something behind this server:
// it asks clients not to send the call again ("grpc-retry-pushback-ms: -1", which gRPC obeys), for
// that would only delay the error. What is UNAVAILABLE without it is this server.

#include <grpcpp/server.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/auth/authenticator.h"
#include "common/limits/tenant_limits.h"
#include "common/server/transport_security.h"

namespace contree {

// The largest message that one of our servers takes or client receives, in bytes.
inline constexpr int kMaxGrpcMessageBytes = 64 * 1024 * 1024;

// The trailer that marks an UNAVAILABLE as an answer, with "-1".
inline constexpr char kRetryPushback[] = "grpc-retry-pushback-ms";

struct GrpcServerOptions {
  // "HOST:PORT", port 0: a free one; or "unix:/absolute/path" in a directory that is there (mode
  // 0660). Empty: reachable in-process only. Beyond loopback and sockets it takes both,
  // `authenticator` and `tls`.
  std::string listen;
  // Full names of the services ("contree.v1.ContreeService") for which health answers SERVING
  // besides "".
  std::vector<std::string> health_names = {};
  // Null: every caller is of kLocalTenant.
  std::shared_ptr<Authenticator> authenticator = nullptr;
  // Null: callers have no limits.
  std::shared_ptr<TenantLimits> limits = nullptr;
  // With a certificate HOST:PORT is served with TLS. Not looked at for sockets.
  TlsFiles tls = {};
};

class CallsOfServer;

// Thread-safe.
class GrpcServer {
 public:
  // Serves `services`, which must outlive it. Health answers SERVING from the start.
  // InvalidArgument: listen is no address, or the files of TLS cannot be used. PermissionDenied:
  // beyond loopback without what that takes. NotFound, FailedPrecondition: where the socket should
  // be, there is no directory or something else. Unavailable: it cannot be bound.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const GrpcServerOptions& options, const std::vector<grpc::Service*>& services);
  ~GrpcServer();  // drains with no grace

  // "127.0.0.1:41234" or "unix:/path"; empty without `listen`.
  const std::string& address() const { return address_; }
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // NOT_SERVING: clients that watch health, as those of common/rpc/service_channel.h do, send no
  // call from when they hear of it. Returns when none has come for a quarter of a second, after 3 s
  // at the latest. Calls that come are served all the same: gRPC would lose those that are on their
  // way when it shuts down. Idempotent.
  void Retire();

  // NOT_SERVING, then no new calls, then running calls get `grace` to end before they are
  // cancelled. Idempotent.
  void Drain(absl::Duration grace);

 private:
  GrpcServer(std::unique_ptr<grpc::Server> server, std::string address,
             std::shared_ptr<CallsOfServer> calls);

  std::unique_ptr<grpc::Server> server_;
  const std::shared_ptr<CallsOfServer> calls_;
  std::string address_;
};

}  // namespace contree

#endif  // COMMON_SERVER_GRPC_SERVER_H_
