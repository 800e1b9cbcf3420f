// The unary calls and bounded streams through in-process gRPC, against an API on loopback that says
// what each test tells it to.

#include "contree-service/contree_service.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "contree-service/testing/service_test.h"

namespace contree {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOperation[] = "01a0d8ca-28fd-777e-8000-000000000001";
constexpr char kOther[] = "01a0d8ca-28fd-777e-8000-000000000002";
constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";

TEST_F(ContreeServiceTest, AFinalRecordNeedsNoPlatformAlsoAfterARestart) {
  api_.SetOperation(kOperation, "SUCCESS", "kept");
  ASSERT_OK(GetOperation(kOperation));
  Restart();
  api_.On(absl::StrCat("GET /v1/operations/", kOperation), 500, "{}");
  ASSERT_OK_AND_ASSIGN(const v1::Operation operation, GetOperation(kOperation));
  EXPECT_EQ(operation.instance().stdout().data(), "kept");
  EXPECT_THAT(Watcher(*stub_, kOperation).Rest(), ElementsAre("completed kept"));
  EXPECT_EQ(api_.Count(absl::StrCat("GET /v1/operations/", kOperation)), 1);
}

TEST_F(ContreeServiceTest, ARunningStateIsNeverRemembered) {
  api_.SetOperation(kOperation, "PENDING");
  EXPECT_EQ(GetOperation(kOperation)->state(), v1::OPERATION_STATE_PENDING);
  api_.SetOperation(kOperation, "EXECUTING");
  EXPECT_EQ(GetOperation(kOperation)->state(), v1::OPERATION_STATE_EXECUTING);
  api_.SetOperation(kOperation, "CANCELLED");
  EXPECT_EQ(GetOperation(kOperation)->state(), v1::OPERATION_STATE_CANCELLED);
}

TEST_F(ContreeServiceTest, CancelWaitsUntilItIsConfirmed) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  api_.On(absl::StrCat("DELETE /v1/operations/", kOperation), [&](HttpExchange& exchange) {
    exchange.Respond(202);
    api_.SetOperation(kOperation, "CANCELLED");
    feed.Send(0, "completion", "{}", 0);
  });
  v1::CancelOperationRequest request;
  request.set_operation_id(kOperation);
  ASSERT_OK_AND_ASSIGN(const v1::CancelOperationResponse cancelled,
                       Call(&v1::ContreeService::StubInterface::CancelOperation, request));
  EXPECT_TRUE(cancelled.cancelled());
  EXPECT_EQ(cancelled.operation().state(), v1::OPERATION_STATE_CANCELLED);
  // Again: it is final, and nobody is asked.
  ASSERT_OK_AND_ASSIGN(const v1::CancelOperationResponse again,
                       Call(&v1::ContreeService::StubInterface::CancelOperation, request));
  EXPECT_FALSE(again.cancelled());
  EXPECT_EQ(api_.Count(absl::StrCat("DELETE /v1/operations/", kOperation)), 1);
}

TEST_F(ContreeServiceTest, CancellingWhatEndedMeanwhileIsNoError) {
  api_.SetOperation(kOperation, "SUCCESS", "done");
  api_.On(absl::StrCat("DELETE /v1/operations/", kOperation), 409, R"({"error":"finished"})");
  v1::CancelOperationRequest request;
  request.set_operation_id(kOperation);
  ASSERT_OK_AND_ASSIGN(const v1::CancelOperationResponse response,
                       Call(&v1::ContreeService::StubInterface::CancelOperation, request));
  EXPECT_FALSE(response.cancelled());
  EXPECT_EQ(response.operation().state(), v1::OPERATION_STATE_SUCCESS);
  request.set_operation_id(kOther);
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::CancelOperation, request),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(kOther)));
}

TEST_F(ContreeServiceTest, ImagesAreListedFoundAndTagged) {
  const std::string image =
      absl::StrCat(R"({"uuid":")", kImage, R"(","tag":"a:b","created_at":"2026-09-18T07:51:35Z"})");
  api_.On("GET /v1/images", [&](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Query("limit"), "5");
    EXPECT_EQ(exchange.Query("tag"), "a/b:");
    EXPECT_EQ(exchange.Query("tagged"), "1");
    EXPECT_EQ(exchange.Query("since"), "2h");
    EXPECT_EQ(exchange.Query("offset"), std::nullopt);
    exchange.Respond(200, "application/json", absl::StrCat("{\"images\":[", image, "]}"));
  });
  v1::ListImagesRequest list;
  list.set_limit(5);
  list.set_tag_prefix("a/b:");
  list.set_tagged(true);
  list.set_since("2h");
  ASSERT_OK_AND_ASSIGN(const v1::ListImagesResponse images,
                       Call(&v1::ContreeService::StubInterface::ListImages, list));
  ASSERT_EQ(images.images_size(), 1);
  EXPECT_EQ(images.images(0).tag(), "a:b");

  api_.On("GET /v1/inspect/", [&](HttpExchange& exchange) {
    if (exchange.Query("tag") == "a:b") {
      exchange.SetHeader("Location", absl::StrCat(kImage, "/"));
      exchange.Respond(302);
    } else {
      exchange.Respond(404, "application/json", R"({"error":"no such tag"})");
    }
  });
  api_.On(absl::StrCat("GET /v1/inspect/", kImage, "/"), 200, image);
  for (const std::string& reference :
       {std::string("a:b"), std::string("tag:a:b"), std::string(kImage)}) {
    v1::GetImageRequest get;
    get.set_image(reference);
    ASSERT_OK_AND_ASSIGN(const v1::GetImageResponse found,
                         Call(&v1::ContreeService::StubInterface::GetImage, get));
    EXPECT_EQ(found.image().uuid(), kImage);
  }
  v1::GetImageRequest get;
  get.set_image("tag:none");
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::GetImage, get),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no image has the tag none")));

  api_.On(absl::StrCat("PATCH /v1/images/", kImage, "/tag"), [&](HttpExchange& exchange) {
    EXPECT_EQ(*exchange.ReadBody(1000), R"({"tag":"c"})");
    exchange.Respond(200, "application/json", image);
  });
  api_.On(absl::StrCat("DELETE /v1/images/", kImage, "/tag"), [&](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Query("tag"), "a:b");
    exchange.Respond(204);
  });
  v1::SetTagRequest set;
  set.set_image("a:b");
  set.set_tag("c");
  ASSERT_OK(Call(&v1::ContreeService::StubInterface::SetTag, set));
  set.clear_tag();
  ASSERT_OK(Call(&v1::ContreeService::StubInterface::SetTag, set));
  EXPECT_EQ(api_.Count(absl::StrCat("DELETE /v1/images/", kImage, "/tag")), 1);
  set.set_tag("no good");
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::SetTag, set),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no good")));
}

TEST_F(ContreeServiceTest, FilesAreListedAndReadInPieces) {
  std::string entries;
  for (int i = 0; i < 1500; ++i)
    absl::StrAppend(&entries, i == 0 ? "" : ",", "{\"path\":\"f", i, "\",\"is_regular\":true}");
  api_.On(absl::StrCat("GET /v1/inspect/", kImage, "/list"), [&](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Query("path"), "/a b");
    exchange.Respond(200, "application/json",
                     absl::StrCat("{\"path\":\"/a b\",\"files\":[", entries, "]}"));
  });
  v1::ListFilesRequest list;
  list.set_image(kImage);
  list.set_path("/a b");
  OutgoingCall list_call(NewCallContext(absl::Seconds(20)));
  auto lister = stub_->ListFiles(list_call.client_context(), list);
  std::vector<int> sizes;
  v1::ListFilesResponse listed;
  while (lister->Read(&listed)) sizes.push_back(listed.entries_size());
  EXPECT_TRUE(lister->Finish().ok());
  EXPECT_THAT(sizes, ElementsAre(1000, 500));
  EXPECT_EQ(listed.entries(499).path(), "/a b/f999");

  const std::string content(600 << 10, 'x');
  api_.On(absl::StrCat("GET /v1/inspect/", kImage, "/download"), [&](HttpExchange& exchange) {
    if (exchange.Query("path") == "/dir") {
      exchange.Respond(422, "application/json", R"({"error":"is a directory"})");
    } else {
      exchange.Respond(200, "application/octet-stream", content);
    }
  });
  const auto read = [&](const std::string& path, std::string* data) {
    v1::ReadFileRequest request;
    request.set_image(kImage);
    request.set_path(path);
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    auto reader = stub_->ReadFile(call.client_context(), request);
    v1::ReadFileResponse response;
    while (reader->Read(&response)) {
      EXPECT_LE(response.data().size(), size_t{256} << 10);
      data->append(response.data());
    }
    return FromGrpcStatus(reader->Finish());
  };
  std::string data;
  EXPECT_OK(read("/file", &data));
  EXPECT_EQ(data, content);
  EXPECT_THAT(read("/dir", &data), StatusIs(absl::StatusCode::kFailedPrecondition,
                                            AllOf(HasSubstr("/dir"), HasSubstr("is a directory"))));
  EXPECT_THAT(read("file", &data),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("absolute")));
}

TEST_F(ContreeServiceTest, TheIdentityIsShownAndTheTokenNever) {
  api_.On("GET /v1/whoami", 200,
          R"({"token_uuid":"t","token_expiration":null,"permissions":{"list":true,"spawn":false},
              "operations_stat":{"running_instances":2},"limits":{"instance_max_concurrency":50}})");
  ASSERT_OK_AND_ASSIGN(
      const v1::GetIdentityResponse identity,
      Call(&v1::ContreeService::StubInterface::GetIdentity, v1::GetIdentityRequest()));
  EXPECT_EQ(identity.token_uuid(), "t");
  EXPECT_FALSE(identity.has_token_expiration());
  EXPECT_TRUE(identity.permissions().at("list"));
  EXPECT_FALSE(identity.permissions().at("spawn"));
  EXPECT_EQ(identity.limits().at("instance_max_concurrency"), 50);
  EXPECT_EQ(identity.operations().at("running_instances"), 2);
  EXPECT_EQ(identity.api_url(), api_.url());
  api_.On("GET /v1/whoami", 401, R"({"error":"bad token sesame"})");
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::GetIdentity, v1::GetIdentityRequest()),
              StatusIs(absl::StatusCode::kUnauthenticated,
                       AllOf(HasSubstr("bad token"), Not(HasSubstr("sesame")))));
}

TEST_F(ContreeServiceTest, OperationsAreListedWithoutTheirOutput) {
  api_.On("GET /v1/operations", [](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Query("status"), "EXECUTING");
    EXPECT_EQ(exchange.Query("kind"), "instance");
    exchange.Respond(
        200, "application/json",
        absl::StrCat(R"([{"uuid":")", kOperation, R"(","kind":"instance","status":"EXECUTING"}])"));
  });
  v1::ListOperationsRequest request;
  request.set_state(v1::OPERATION_STATE_EXECUTING);
  request.set_kind(v1::OPERATION_KIND_INSTANCE);
  ASSERT_OK_AND_ASSIGN(const v1::ListOperationsResponse response,
                       Call(&v1::ContreeService::StubInterface::ListOperations, request));
  ASSERT_EQ(response.operations_size(), 1);
  EXPECT_EQ(response.operations(0).id(), kOperation);
  request.set_limit(1001);
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::ListOperations, request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit")));
}

TEST_F(ContreeServiceTest, CancellingACallEndsItsExchangeWithThePlatform) {
  absl::Notification asked;
  absl::Notification left;
  api_.On("GET /v1/whoami", [&](HttpExchange& exchange) {
    exchange.RespondStream(200, "application/json", [&](HttpResponseStream& stream) {
      asked.Notify();
      absl::Mutex never;
      absl::MutexLock lock(&never);
      const bool no = false;
      while (stream.IsOpen()) never.AwaitWithTimeout(absl::Condition(&no), absl::Milliseconds(5));
      left.Notify();
    });
  });
  OutgoingCall call(NewCallContext(absl::Seconds(20)));
  std::thread canceller([&] {
    asked.WaitForNotification();
    call.client_context()->TryCancel();
  });
  v1::GetIdentityResponse response;
  EXPECT_EQ(stub_->GetIdentity(call.client_context(), {}, &response).error_code(),
            grpc::StatusCode::CANCELLED);
  left.WaitForNotification();
  canceller.join();
}

TEST_F(ContreeServiceTest, AnImportIsStartedAndFollowed) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.On("POST /v1/images/import", [](HttpExchange& exchange) {
    EXPECT_EQ(
        *exchange.ReadBody(1000),
        R"({"registry":{"credentials":{"password":"p","username":"u"},"url":"docker://docker.io/library/busybox:latest"},)"
        R"("tag":"busybox:latest","timeout":300})");
    exchange.Respond(201, "application/json", absl::StrCat("{\"uuid\":\"", kOperation, "\"}"));
  });
  v1::ImportImageRequest request;
  request.set_registry_url("docker://docker.io/library/busybox:latest");
  request.set_tag("busybox:latest");
  request.mutable_credentials()->set_username("u");
  request.mutable_credentials()->set_password("p");
  ASSERT_OK_AND_ASSIGN(const v1::ImportImageResponse started,
                       Call(&v1::ContreeService::StubInterface::ImportImage, request));
  EXPECT_EQ(started.operation_id(), kOperation);
  feed.AwaitConnections(1);
  request.set_registry_url("busybox");
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::ImportImage, request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("registry_url")));
}

TEST_F(ContreeServiceTest, FilesAreFoundByTheirContent) {
  const std::string known(64, 'a');
  const std::string unknown(64, 'b');
  api_.On("GET /v1/files/" + known, 200,
          absl::StrCat(R"({"uuid":"f","sha256":")", known, R"(","size":3})"));
  v1::FindFilesRequest request;
  request.add_sha256(unknown);
  request.add_sha256(known);
  ASSERT_OK_AND_ASSIGN(const v1::FindFilesResponse found,
                       Call(&v1::ContreeService::StubInterface::FindFiles, request));
  ASSERT_EQ(found.files_size(), 1);
  EXPECT_EQ(found.files(0).uuid(), "f");
  EXPECT_EQ(found.files(0).size(), 3);
  request.add_sha256("short");
  EXPECT_THAT(Call(&v1::ContreeService::StubInterface::FindFiles, request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("short")));
}

TEST_F(ContreeServiceTest, AnUploadIsStreamedAndItsHashCompared) {
  const std::string hash(64, 'a');
  struct Seen {
    std::string body;
    std::string length;
  };
  // Shared: the upload that is cut off may still be read when this test has ended.
  const auto seen = std::make_shared<Seen>();
  api_.On("POST /v1/files", [seen, hash](HttpExchange& exchange) {
    seen->length = exchange.Header("Content-Length").value_or("chunked");
    seen->body = exchange.ReadBody(1 << 20).value_or("cut off");
    exchange.Respond(201, "application/json",
                     absl::StrCat(R"({"uuid":"f","sha256":")", hash, R"(","size":6})"));
  });
  const auto upload = [&](const v1::UploadFileHeader& header, v1::UploadFileResponse* response) {
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    auto writer = stub_->UploadFile(call.client_context(), response);
    v1::UploadFileRequest message;
    *message.mutable_header() = header;
    writer->Write(message);
    for (const char* piece : {"abc", "", "def"}) {
      message.set_data(piece);
      writer->Write(message);
    }
    writer->WritesDone();
    return FromGrpcStatus(writer->Finish());
  };
  v1::UploadFileHeader header;
  v1::UploadFileResponse response;
  EXPECT_OK(upload(header, &response));
  EXPECT_EQ(seen->body, "abcdef");
  EXPECT_EQ(seen->length, "chunked");
  EXPECT_EQ(response.file().uuid(), "f");
  header.set_size(6);
  header.set_sha256(hash);
  EXPECT_OK(upload(header, &response));
  EXPECT_EQ(seen->length, "6");
  header.set_sha256(std::string(64, 'b'));
  EXPECT_THAT(upload(header, &response), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(hash)));
  header.set_size(7);
  EXPECT_THAT(upload(header, &response),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("7 bytes")));
}

}  // namespace
}  // namespace contree
