#include "common/rpc/service_channel.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/server/grpc_server.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;

// Counts what it starts, as the platform would, and answers reads as it is told.
class CountingService final : public v1::ContreeService::Service {
 public:
  grpc::Status RunInstance(grpc::ServerContext* context, const v1::RunInstanceRequest* request,
                           v1::RunInstanceResponse* response) override {
    ++started;
    if (request->command() == "hang") {
      hangs.Notify();
      while (!context->IsCancelled()) std::this_thread::yield();
    }
    if (run_answer.error_code() != grpc::StatusCode::OK) return run_answer;
    response->set_operation_id(request->command());
    return grpc::Status::OK;
  }
  grpc::Status GetImage(grpc::ServerContext* context, const v1::GetImageRequest*,
                        v1::GetImageResponse* response) override {
    if (++reads == hangs_at) {
      hangs.Notify();
      while (!context->IsCancelled()) std::this_thread::yield();
      return grpc::Status::CANCELLED;
    }
    response->mutable_image()->set_tag("read");
    return read_answer;
  }

  grpc::Status run_answer;
  grpc::Status read_answer;
  int hangs_at = 0;
  absl::Notification hangs;
  std::atomic<int> started = 0;
  std::atomic<int> reads = 0;
};

class ServiceChannelTest : public testing::Test {
 protected:
  void Start() {
    auto server = GrpcServer::Start({.listen = address_}, {&service_});
    ASSERT_OK(server);
    server_ = *std::move(server);
  }
  void Restart() {
    server_->Retire();
    server_->Drain(absl::Seconds(30));
    server_ = nullptr;
    Start();
  }
  grpc::Status Run(const std::string& command) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    v1::RunInstanceRequest request;
    request.set_command(command);
    v1::RunInstanceResponse response;
    grpc::Status status = stub_->RunInstance(&context, request, &response);
    EXPECT_EQ(response.operation_id(), status.ok() ? command : "");
    return status;
  }
  grpc::Status Read() {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
    v1::GetImageResponse response;
    return stub_->GetImage(&context, {}, &response);
  }

  TempDirectory temp_;
  CountingService service_;
  const std::string address_ = "unix:" + temp_.File("service.sock");
  const std::unique_ptr<v1::ContreeService::Stub> stub_ =
      v1::ContreeService::NewStub(ChannelTo(address_));
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(ServiceChannelTest, EachMethodIsEitherSentAgainOrNot) {
  const std::set<std::string> only_once = {
      "contree.v1.ContreeService.RunInstance", "contree.v1.ContreeService.ImportImage",
      "contree.v1.ContreeService.WatchOperation", "contree.v1.ContreeService.WatchOperations",
      "contree.sync.v1.SyncService.Sync"};
  std::set<std::string> methods;
  for (const google::protobuf::FileDescriptor* file :
       {v1::RunInstanceRequest::descriptor()->file(),
        auth::v1::GetTokenPageRequest::descriptor()->file(),
        sync::v1::SyncRequest::descriptor()->file()}) {
    for (int i = 0; i < file->service(0)->method_count(); ++i)
      methods.insert(file->service(0)->method(i)->full_name());
  }
  std::set<std::string> named = only_once;
  const nlohmann::json config = nlohmann::json::parse(ServiceConfig());
  for (const nlohmann::json& name : config.at("methodConfig").at(1).at("name")) {
    const std::string full = absl::StrCat(name.at("service").get<std::string>(), ".",
                                          name.at("method").get<std::string>());
    EXPECT_TRUE(named.insert(full).second) << full;
  }
  EXPECT_EQ(named, methods);
}

// The calls that must not be made twice: each is answered, and each was handled once.
TEST_F(ServiceChannelTest, RestartsUnderLoadLoseAndDoubleNoCall) {
  Start();
  constexpr int kCallers = 8;
  constexpr int kRestarts = 8;
  std::atomic<bool> ends = false;
  std::atomic<int> answered = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; !ends; ++n) {
        const grpc::Status status = Run(absl::StrCat(i, "-", n));
        EXPECT_TRUE(status.ok()) << status.error_code() << " " << status.error_message();
        ++answered;
      }
    });
  }
  for (int i = 0; i < kRestarts; ++i) {
    const int before = answered;
    Restart();
    while (answered < before + 200 && !HasFailure()) std::this_thread::yield();
  }
  ends = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(service_.started, answered);
}

TEST_F(ServiceChannelTest, ACallWaitsForAServiceThatIsAway) {
  Start();
  ASSERT_TRUE(Run("before").ok());
  server_ = nullptr;
  grpc::Status status(grpc::StatusCode::UNKNOWN, "");
  std::thread caller([&] { status = Run("meanwhile"); });
  Start();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(service_.started, 2);
}

// The connection breaks while the handler runs.
TEST_F(ServiceChannelTest, WhatOnlyReadsIsSentAgain) {
  service_.hangs_at = 1;
  Start();
  grpc::Status status(grpc::StatusCode::UNKNOWN, "");
  std::thread caller([&] { status = Read(); });
  service_.hangs.WaitForNotification();
  server_->Drain(absl::ZeroDuration());
  server_ = nullptr;
  Start();
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_code() << " " << status.error_message();
  EXPECT_EQ(service_.reads, 2);
}

TEST_F(ServiceChannelTest, WhatStartsSomethingIsNotAndItIsSaidThatNobodyKnows) {
  Start();
  grpc::Status status;
  std::thread caller([&] { status = Run("hang"); });
  service_.hangs.WaitForNotification();
  server_->Drain(absl::ZeroDuration());
  server_ = nullptr;
  Start();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_THAT(status.error_message(), HasSubstr("list_operations"));
  EXPECT_EQ(service_.started, 1);
}

TEST_F(ServiceChannelTest, WhatIsDownBehindTheServiceIsToldAtOnce) {
  service_.read_answer = {grpc::StatusCode::UNAVAILABLE, "the platform is down"};
  service_.run_answer = service_.read_answer;
  Start();
  for (const grpc::Status& status : {Read(), Run("x")}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(status.error_message(), "the platform is down");
  }
  EXPECT_EQ(service_.reads, 1);
  EXPECT_EQ(service_.started, 1);
}

TEST_F(ServiceChannelTest, WhereNobodyListensCallsFailBeforeTheirDeadline) {
  const absl::Time begin = absl::Now();
  const grpc::Status first = Run("x");
  const absl::Time failed = absl::Now();
  EXPECT_EQ(first.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(first.error_message(), HasSubstr(absl::StrCat(address_, " cannot be reached")));
  EXPECT_LT(failed - begin, absl::Seconds(20));
  EXPECT_EQ(Read().error_code(), grpc::StatusCode::UNAVAILABLE);  // as soon as it is known
  EXPECT_LT(absl::Now() - failed, absl::Seconds(1));
  Start();
  grpc::Status status = Run("y");
  while (!status.ok() && absl::Now() < failed + absl::Seconds(30)) status = Run("y");
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace contree
