#ifndef COMMON_RPC_SERVICE_CHANNEL_H_
#define COMMON_RPC_SERVICE_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/server/transport_security.h"

namespace contree {

// A channel to one of our services elsewhere: "HOST:PORT" or "unix:/absolute/path". It connects
// with the first call, and again within half a second after the service was restarted. A restart
// loses no call (docs/decisions/2026-11-26-restarts-that-lose-nothing.md):
//   - a service that drains says so by its health, and no call is sent to it from then on;
//   - calls wait for a service that is away, but not for long (restart_patience.h);
//   - one whose connection breaks is sent again if the service's contract calls it idempotent, and
//     it is not the service itself that answered UNAVAILABLE (common/server/grpc_server.h). Others
//     that start something are then UNKNOWN.
std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address);

// The same with TLS where `tls` names any file and the address is no socket of this machine.
// InvalidArgument: the files cannot be used.
absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const std::string& address,
                                                         const TlsFiles& tls);

// What all of them are made with, for channels of another kind. To be called before anything else
// of gRPC is: it also sets how often gRPC looks at connections that nobody waits for.
grpc::ChannelArguments ServiceChannelArguments();

// The gRPC service config of ChannelTo: what is sent again, and how.
std::string ServiceConfig();

}  // namespace contree

#endif  // COMMON_RPC_SERVICE_CHANNEL_H_
