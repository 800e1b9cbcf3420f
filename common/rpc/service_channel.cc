#include "common/rpc/service_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <stdlib.h>

#include <mutex>

#include "absl/strings/match.h"
#include "common/server/grpc_server.h"
#include "common/server/listen_address.h"
#include "common/status/status_macros.h"

namespace contree {

namespace {

// While no call waits, gRPC looks at a client's connection every 5 s only, so that the three steps
// of a TLS handshake after a restart would take 15 s of failing calls. It reads this once, when it
// is first used.
void LookAtConnectionsOften() {
  static std::once_flag once;
  std::call_once(
      once, [] { setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "250", /*overwrite=*/0); });
}

}  // namespace

grpc::ChannelArguments ServiceChannelArguments() {
  LookAtConnectionsOften();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxGrpcMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxGrpcMessageBytes);
  // A peer that vanished without a word is noticed while a call waits for it.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  return arguments;
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) {
  const grpc::ChannelArguments arguments = ServiceChannelArguments();
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const std::string& address,
                                                         const TlsFiles& tls) {
  if (tls.empty() || absl::StartsWith(address, kUnixScheme)) return ChannelTo(address);
  const grpc::ChannelArguments arguments = ServiceChannelArguments();
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                   TlsChannelCredentialsOf(tls));
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

}  // namespace contree
