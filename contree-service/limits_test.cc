// What tenants may run at once and upload in a day.

#include <string>

#include "absl/strings/str_cat.h"
#include "contree-service/testing/service_test.h"
#include "gmock/gmock.h"

namespace contree {
namespace {

using testing::HasSubstr;

constexpr char kOperation[] = "0198a1b2-0000-7000-8000-000000000001";

TEST_F(ContreeServiceTest, ATenantRunsAsManyOperationsAsItMay) {
  ASSERT_OK(limits_.Load(R"({"default": {"concurrent_operations": 1}})"));
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  api_.On("POST /v1/instances", 201, absl::StrCat("{\"uuid\":\"", kOperation, "\"}"));
  v1::RunInstanceRequest request;
  request.set_command("sleep");
  request.set_image("busybox");
  ASSERT_OK(Call(&v1::ContreeService::StubInterface::RunInstance, request).status());
  feed.AwaitConnections(1);
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::RunInstance, request).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1 operations at once")));
  EXPECT_EQ(api_.Count("POST /v1/instances"), 1);

  ASSERT_OK(limits_.Load(R"({"default": {"concurrent_operations": 2}})"));
  EXPECT_OK(Call(&v1::ContreeService::StubInterface::RunInstance, request).status());
  EXPECT_EQ(api_.Count("POST /v1/instances"), 2);
}

TEST_F(ContreeServiceTest, ATenantUploadsAsMuchAsItMay) {
  ASSERT_OK(limits_.Load(R"({"default": {"upload_bytes_per_day": 10}})"));
  api_.On("POST /v1/files", [](HttpExchange& exchange) {
    exchange.ReadBody(1 << 20).IgnoreError();
    exchange.Respond(201, "application/json", R"({"uuid":"f","sha256":"a","size":6})");
  });
  const auto upload = [&](bool with_size) {
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    v1::UploadFileResponse response;
    auto writer = stub_->UploadFile(call.client_context(), &response);
    v1::UploadFileRequest message;
    message.mutable_header();
    if (with_size) message.mutable_header()->set_size(6);
    writer->Write(message);
    message.set_data("abcdef");
    writer->Write(message);
    writer->WritesDone();
    return FromGrpcStatus(writer->Finish());
  };
  EXPECT_OK(upload(/*with_size=*/true));
  EXPECT_THAT(upload(/*with_size=*/true),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("in a day")));
  EXPECT_EQ(api_.Count("POST /v1/files"), 1);
  EXPECT_THAT(upload(/*with_size=*/false),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("in a day")));
}

}  // namespace
}  // namespace contree
