#ifndef TESTS_HARNESS_GRPC_PROBE_H_
#define TESTS_HARNESS_GRPC_PROBE_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace contree::testing_harness {

// What grpc.health.v1 at "HOST:PORT" says of `service` ("": of the whole server): "SERVING", ...
absl::StatusOr<std::string> HealthOf(const std::string& address, const std::string& service = "");

// The full names of the services that reflection (v1alpha) at "HOST:PORT" lists.
absl::StatusOr<std::vector<std::string>> ReflectedServices(const std::string& address);

// A channel to "HOST:PORT" or "unix:/path" whose calls carry the token, unless it is empty.
std::shared_ptr<grpc::Channel> ChannelWithToken(const std::string& address,
                                                const std::string& bearer_token);

// Every method of every service that reflection lists: "/package.Service/Method".
absl::StatusOr<std::vector<std::string>> ReflectedMethods(
    const std::shared_ptr<grpc::Channel>& channel);

// What came of a call: its status, and its responses as they were on the wire.
struct RawReply {
  absl::Status status;
  std::vector<std::string> responses;
};

// Any method, of whatever kind, with these messages. Ends after 60 s at the latest.
RawReply CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                 const std::vector<std::string>& requests);

}  // namespace contree::testing_harness

#endif  // TESTS_HARNESS_GRPC_PROBE_H_
