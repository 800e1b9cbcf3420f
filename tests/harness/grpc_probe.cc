#include "tests/harness/grpc_probe.h"

#include <grpcpp/grpcpp.h>

#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/harness/reflection.grpc.pb.h"

namespace contree::testing_harness {
namespace {
constexpr absl::Duration kTimeout = absl::Seconds(20);
}  // namespace

absl::StatusOr<std::string> HealthOf(const std::string& address, const std::string& service) {
  const auto stub = grpc::health::v1::Health::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  OutgoingCall call(NewCallContext(kTimeout));
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  RETURN_IF_ERROR(FromGrpcStatus(stub->Check(call.client_context(), request, &response)));
  return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status());
}

absl::StatusOr<std::vector<std::string>> ReflectedServices(const std::string& address) {
  const auto stub = grpc::reflection::v1alpha::ServerReflection::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  OutgoingCall call(NewCallContext(kTimeout));
  const auto stream = stub->ServerReflectionInfo(call.client_context());
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("*");
  stream->Write(request);
  stream->WritesDone();
  grpc::reflection::v1alpha::ServerReflectionResponse response;
  std::vector<std::string> names;
  while (stream->Read(&response)) {
    for (const auto& service : response.list_services_response().service())
      names.push_back(service.name());
  }
  RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
  return names;
}

}  // namespace contree::testing_harness
