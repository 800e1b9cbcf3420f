#include "common/server/grpc_server.h"

#include <grpcpp/grpcpp.h>

#include "common/testing/status_matchers.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace contree {
namespace {

using testing::HasSubstr;

class SilentService final : public sync::v1::SyncService::Service {};

std::string HealthOf(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status =
      grpc::health::v1::Health::NewStub(channel)->Check(&context, request, &response);
  return status.ok() ? grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status())
                     : status.error_message();
}

TEST(GrpcServerTest, ServesHealthOnAFreePort) {
  SilentService service;
  ASSERT_OK_AND_ASSIGN(
      auto server,
      GrpcServer::Start({.listen = "127.0.0.1:0", .health_names = {"contree.sync.v1.SyncService"}},
                        {&service}));
  const auto channel = grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials());
  EXPECT_EQ(HealthOf(channel, ""), "SERVING");
  EXPECT_EQ(HealthOf(channel, "contree.sync.v1.SyncService"), "SERVING");
}

TEST(GrpcServerTest, InProcessOnlyWithoutAnAddress) {
  SilentService service;
  ASSERT_OK_AND_ASSIGN(auto server, GrpcServer::Start({}, {&service}));
  EXPECT_EQ(server->address(), "");
  EXPECT_EQ(HealthOf(server->InProcessChannel(), ""), "SERVING");
}

TEST(GrpcServerTest, DrainsAndThenAnswersNothing) {
  SilentService service;
  ASSERT_OK_AND_ASSIGN(auto server, GrpcServer::Start({.listen = "127.0.0.1:0"}, {&service}));
  const auto channel = grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials());
  ASSERT_EQ(HealthOf(channel, ""), "SERVING");
  server->Drain(absl::Seconds(1));
  server->Drain(absl::Seconds(1));
  EXPECT_NE(HealthOf(channel, ""), "SERVING");
}

TEST(GrpcServerTest, RefusesWhatItCannotOrMayNotListenOn) {
  EXPECT_THAT(GrpcServer::Start({.listen = "0.0.0.0:0"}, {}),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("0.0.0.0")));
  EXPECT_THAT(GrpcServer::Start({.listen = "nonsense"}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'nonsense'")));
  SilentService service;
  ASSERT_OK_AND_ASSIGN(auto first, GrpcServer::Start({.listen = "127.0.0.1:0"}, {&service}));
  EXPECT_THAT(GrpcServer::Start({.listen = first->address()}, {&service}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(first->address())));
}

}  // namespace
}  // namespace contree
