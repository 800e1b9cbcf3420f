#ifndef STANDALONE_REMOTE_CHANNEL_H_
#define STANDALONE_REMOTE_CHANNEL_H_

// The way to an installation elsewhere, for contree-mcp --remote: one gRPC channel over TLS, on
// which all three services are reached; whatever stands there routes by the calls' paths. Each call
// carries the user's token.

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "standalone/options.h"

namespace contree::standalone {

struct RemoteOptions {
  std::string url;              // "https://HOST[:PORT]"
  std::string token = "";       // unless there is a file
  std::string token_file = "";  // read again when it changes; white space around it does not count
  std::string ca_file = "";     // certificates to trust instead of the system's
};

// What the flags say of it.
RemoteOptions RemoteOf(const Options& options);

// It connects with the first call, and again after the connection was lost; a call that fails for
// that says so (UNAVAILABLE). InvalidArgument: the URL is of another form, there is no token, or a
// file holds nothing of use; the message names it and shows no token. NotFound and others: a file
// cannot be read.
absl::StatusOr<std::shared_ptr<grpc::Channel>> ConnectToRemote(const RemoteOptions& options);

}  // namespace contree::standalone

#endif  // STANDALONE_REMOTE_CHANNEL_H_
