#include "tests/harness/grpc_probe.h"

#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_interceptor.h>

#include <utility>

#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/harness/reflection.grpc.pb.h"

namespace contree::testing_harness {
namespace {

namespace reflection = grpc::reflection::v1alpha;

constexpr absl::Duration kTimeout = absl::Seconds(20);
constexpr absl::Duration kCallTimeout = absl::Seconds(60);

// Adds a token to the metadata of calls.
class TokenAdding final : public grpc::experimental::Interceptor,
                          public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenAdding(std::string value) : value_(std::move(value)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenAdding(value_);
  }
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", value_);
    }
    methods->Proceed();
  }

 private:
  const std::string value_;
};

absl::StatusOr<reflection::ServerReflectionResponse> Reflect(
    const std::shared_ptr<grpc::Channel>& channel,
    const reflection::ServerReflectionRequest& request) {
  const auto stub = reflection::ServerReflection::NewStub(channel);
  OutgoingCall call(NewCallContext(kTimeout));
  const auto stream = stub->ServerReflectionInfo(call.client_context());
  stream->Write(request);
  stream->WritesDone();
  reflection::ServerReflectionResponse response;
  reflection::ServerReflectionResponse more;
  if (stream->Read(&response)) {
    while (stream->Read(&more)) response.MergeFrom(more);
  }
  RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
  return response;
}

absl::StatusOr<std::vector<std::string>> ServicesOf(const std::shared_ptr<grpc::Channel>& channel) {
  reflection::ServerReflectionRequest request;
  request.set_list_services("*");
  ASSIGN_OR_RETURN(const auto response, Reflect(channel, request));
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service())
    names.push_back(service.name());
  return names;
}

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

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
  return ServicesOf(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
}

std::shared_ptr<grpc::Channel> ChannelWithToken(const std::string& address,
                                                const std::string& bearer_token) {
  if (bearer_token.empty()) return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> creators;
  creators.push_back(std::make_unique<TokenAdding>("Bearer " + bearer_token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, grpc::InsecureChannelCredentials(), grpc::ChannelArguments(), std::move(creators));
}

absl::StatusOr<std::vector<std::string>> ReflectedMethods(
    const std::shared_ptr<grpc::Channel>& channel) {
  ASSIGN_OR_RETURN(const std::vector<std::string> services, ServicesOf(channel));
  std::vector<std::string> methods;
  for (const std::string& service : services) {
    reflection::ServerReflectionRequest request;
    request.set_file_containing_symbol(service);
    ASSIGN_OR_RETURN(const auto response, Reflect(channel, request));
    for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      google::protobuf::FileDescriptorProto file;
      file.ParseFromString(bytes);
      for (const auto& described : file.service()) {
        const std::string name =
            file.package().empty() ? described.name() : file.package() + "." + described.name();
        if (name != service) continue;
        for (const auto& method : described.method())
          methods.push_back("/" + service + "/" + method.name());
      }
    }
  }
  return methods;
}

RawReply CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                 const std::vector<std::string>& requests) {
  grpc::GenericStub stub(channel);
  OutgoingCall call(NewCallContext(kCallTimeout));
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto stream = stub.PrepareCall(call.client_context(), method, &queue);
  stream->StartCall(nullptr);
  bool ok = next();
  for (const std::string& request : requests) {
    if (!ok) break;
    stream->Write(ToBuffer(request), nullptr);
    ok = next();
  }
  if (ok) {
    stream->WritesDone(nullptr);
    next();
  }
  RawReply reply;
  while (true) {
    grpc::ByteBuffer response;
    stream->Read(&response, nullptr);
    if (!next()) break;
    reply.responses.push_back(ToBytes(response));
  }
  grpc::Status status;
  stream->Finish(&status, nullptr);
  next();
  reply.status = FromGrpcStatus(status);
  queue.Shutdown();
  while (next()) {
  }
  return reply;
}

}  // namespace contree::testing_harness
