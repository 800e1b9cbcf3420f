#include "common/server/health_check.h"

#include <grpcpp/grpcpp.h>

#include <iostream>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/rpc/grpc_context.h"
#include "common/rpc/service_channel.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace contree {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckResponse;

constexpr absl::Duration kTimeout = absl::Seconds(3);

}  // namespace

std::optional<int> RunHealthCheck(int argc, char** argv) {
  if (argc < 2 || absl::string_view(argv[1]) != "healthcheck") return std::nullopt;
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " healthcheck HOST:PORT|unix:/path" << std::endl;
    return 2;
  }
  const std::string address = argv[2];
  // Not ChannelTo: a call would wait there until the server is healthy.
  const grpc::ChannelArguments arguments = ServiceChannelArguments();
  const auto stub = Health::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  OutgoingCall call(NewCallContext(kTimeout));
  HealthCheckResponse response;
  const grpc::Status status = stub->Check(call.client_context(), {}, &response);
  if (!status.ok()) {
    std::cerr << address << ": " << status.error_message() << std::endl;
    return 1;
  }
  if (response.status() != HealthCheckResponse::SERVING) {
    std::cerr << address << ": " << HealthCheckResponse::ServingStatus_Name(response.status())
              << std::endl;
    return 1;
  }
  return 0;
}

}  // namespace contree
