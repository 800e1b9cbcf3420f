// The whole service through in-process gRPC, against an API on loopback that says what each test
// tells it to.

#include "contree-service/contree_service.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/rpc/grpc_context.h"
#include "common/server/grpc_server.h"
#include "common/status/grpc_status.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "contree-service/testing/scripted_api.h"
#include "contree/v1/contree_service.grpc.pb.h"

namespace contree {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kOperation[] = "01a0d8ca-28fd-777e-8000-000000000001";
constexpr char kOther[] = "01a0d8ca-28fd-777e-8000-000000000002";
constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";

class FixedEndpoint final : public ApiEndpointSource {
 public:
  explicit FixedEndpoint(std::string url) : url_(std::move(url)) {}
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext&) override {
    return ApiEndpoint{.base_url = url_, .token = "sesame", .project = "p1", .platform = "test"};
  }

 private:
  const std::string url_;
};

class ContreeServiceTest : public testing::Test {
 protected:
  ContreeServiceTest() { Start(); }

  void Start() {
    auto service = ContreeService::Create({.state_dir = temp_.File("state")}, &endpoint_);
    EXPECT_OK(service);
    service_ = *std::move(service);
    auto server = GrpcServer::Start({.listen = ""}, {service_->grpc_service()});
    EXPECT_OK(server);
    server_ = *std::move(server);
    stub_ = v1::ContreeService::NewStub(server_->InProcessChannel());
  }

  void Restart() {
    stub_.reset();
    service_->Stop();
    server_.reset();
    service_.reset();
    Start();
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::ContreeService::StubInterface::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    const CallContext context = NewCallContext(absl::Seconds(20));
    OutgoingCall call(context);
    Response response;
    const grpc::Status status = (stub_.get()->*method)(call.client_context(), request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }

  absl::StatusOr<v1::Operation> GetOperation(const std::string& id) {
    v1::GetOperationRequest request;
    request.set_operation_id(id);
    auto response = Call(&v1::ContreeService::StubInterface::GetOperation, request);
    if (!response.ok()) return response.status();
    return response->operation();
  }

  TempDirectory temp_;
  ScriptedApi api_;
  FixedEndpoint endpoint_{api_.url()};
  std::unique_ptr<ContreeService> service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<v1::ContreeService::Stub> stub_;
};

// One WatchOperation call.
class Watcher {
 public:
  Watcher(v1::ContreeService::Stub& stub, const std::string& id,
          std::optional<int64_t> after = std::nullopt)
      : call_(NewCallContext(absl::Seconds(20))) {
    v1::WatchOperationRequest request;
    request.set_operation_id(id);
    if (after.has_value()) request.set_after_event_id(*after);
    reader_ = stub.WatchOperation(call_.client_context(), request);
  }

  // A word for the next event; "" at the end.
  std::string Next() {
    v1::WatchOperationResponse response;
    if (!reader_->Read(&response)) return "";
    last_ = response.event();
    switch (last_.event_case()) {
      case v1::OperationEvent::kStateChanged:
        return v1::OperationState_Name(last_.state_changed().state())
            .substr(sizeof("OPERATION_STATE_") - 1);
      case v1::OperationEvent::kProcessStarted:
        return "started " + last_.process_started().command();
      case v1::OperationEvent::kOutput:
        return "output " + last_.output().data();
      case v1::OperationEvent::kProcessExited:
        return absl::StrCat("exited ", last_.process_exited().exit_code());
      case v1::OperationEvent::kCompleted:
        return "completed " + last_.completed().instance().stdout().data();
      default:
        return "nothing";
    }
  }
  std::vector<std::string> Rest() {
    std::vector<std::string> all;
    for (std::string word = Next(); !word.empty(); word = Next()) all.push_back(word);
    return all;
  }
  const v1::OperationEvent& last() const { return last_; }
  absl::Status Finish() { return FromGrpcStatus(reader_->Finish()); }
  void Cancel() { call_.client_context()->TryCancel(); }

 private:
  OutgoingCall call_;
  std::unique_ptr<grpc::ClientReader<v1::WatchOperationResponse>> reader_;
  v1::OperationEvent last_;
};

void SendRun(EventFeed& feed) {
  feed.Send(0, "init", "{}", 0);
  feed.Send(1, "spawn", R"({"command":"echo","args":["hi"]})");
  feed.Send(2, "stdout", R"({"value":"hi","encoding":"ascii"})");
  feed.Send(3, "exit", R"({"code":0,"signal":-1,"timed_out":false})");
}

TEST_F(ContreeServiceTest, RunsAndWatchesACommandToItsEnd) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  api_.On("POST /v1/instances", [](HttpExchange& exchange) {
    EXPECT_EQ(exchange.Header("Authorization"), "Bearer sesame");
    EXPECT_EQ(exchange.Header("Project"), "p1");
    const auto body = exchange.ReadBody(1 << 20);
    EXPECT_OK(body);
    const auto json = nlohmann::json::parse(*body);
    EXPECT_EQ(json["image"], "tag:busybox");
    EXPECT_EQ(json["command"], "echo");
    exchange.Respond(201, "application/json", absl::StrCat("{\"uuid\":\"", kOperation, "\"}"));
  });
  v1::RunInstanceRequest request;
  request.set_command("echo");
  request.set_image("busybox");
  ASSERT_OK_AND_ASSIGN(const v1::RunInstanceResponse started,
                       Call(&v1::ContreeService::StubInterface::RunInstance, request));
  EXPECT_EQ(started.operation_id(), kOperation);
  // Following began by itself, before anybody watches.
  feed.AwaitConnections(1);

  SendRun(feed);
  Watcher watcher(*stub_, kOperation);
  EXPECT_EQ(watcher.Next(), "EXECUTING");
  EXPECT_EQ(watcher.Next(), "started echo hi");
  EXPECT_EQ(watcher.Next(), "output hi");
  EXPECT_EQ(watcher.Next(), "exited 0");
  EXPECT_EQ(watcher.last().id(), 3);
  api_.SetOperation(kOperation, "SUCCESS", "hi");
  feed.Send(4, "completion", R"({"status":"SUCCESS","duration_ms":5})", 0);
  EXPECT_EQ(watcher.Next(), "completed hi");
  EXPECT_EQ(watcher.last().id(), 4);
  EXPECT_EQ(watcher.Next(), "");
  EXPECT_OK(watcher.Finish());

  // Who comes late gets it all; one stream and one fetch served everybody.
  EXPECT_THAT(Watcher(*stub_, kOperation).Rest(),
              ElementsAre("EXECUTING", "started echo hi", "output hi", "exited 0", "completed hi"));
  EXPECT_THAT(Watcher(*stub_, kOperation, 2).Rest(), ElementsAre("exited 0", "completed hi"));
  EXPECT_THAT(Watcher(*stub_, kOperation, 4).Rest(), ElementsAre("completed hi"));
  EXPECT_EQ(feed.connections(), 1);
  EXPECT_EQ(api_.Count(absl::StrCat("GET /v1/operations/", kOperation)), 1);
}

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

TEST_F(ContreeServiceTest, AStreamThatBreaksIsResumed) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  Watcher watcher(*stub_, kOperation);
  feed.Send(0, "init", "{}", 0);
  feed.Send(1, "stdout", R"({"value":"a","encoding":"ascii"})");
  EXPECT_EQ(watcher.Next(), "EXECUTING");
  EXPECT_EQ(watcher.Next(), "output a");
  feed.CloseConnections();
  feed.AwaitConnections(2);
  feed.SendRaw(": stream ended with error\n\nevent: sse_error\ndata: gone\n\n");
  feed.AwaitConnections(3);
  // Repeated, skipped, unknown and broken frames hurt nobody.
  feed.SendRaw(
      "id: 1\nevent: stdout\ndata: "
      "{\"spid\":1,\"type\":\"stdout\",\"data\":{\"value\":\"a\"}}\n\n");
  feed.SendRaw("id: 7\nevent: stdout\ndata: {broken\n\n");
  feed.Send(8, "volcano", "{}");
  feed.Send(9, "stdout", R"({"value":"b","encoding":"ascii"})");
  EXPECT_EQ(watcher.Next(), "output b");
  api_.SetOperation(kOperation, "SUCCESS", "ab");
  feed.Send(10, "completion", "{}", 0);
  EXPECT_EQ(watcher.Next(), "completed ab");
  EXPECT_EQ(feed.last_event_ids()[0], "");
  EXPECT_EQ(feed.last_event_ids()[1], "1");
}

TEST_F(ContreeServiceTest, AStreamThatEndsWithoutACompletionIsNoEnd) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  Watcher watcher(*stub_, kOperation);
  feed.AwaitConnections(1);
  api_.SetOperation(kOperation, "FAILED");
  feed.CloseConnections();
  while (!watcher.last().has_completed()) ASSERT_NE(watcher.Next(), "");
  EXPECT_EQ(watcher.last().completed().state(), v1::OPERATION_STATE_FAILED);
}

TEST_F(ContreeServiceTest, PollsWhereThereIsNoEventStream) {
  for (const int status : {400, 404, 405, 406, 501, 403}) {
    const std::string id = absl::StrCat("01a0d8ca-28fd-777e-8000-000000000", status);
    api_.SetOperation(id, "PENDING");
    api_.On(absl::StrCat("GET /v1/operations/", id, "/events"), status, R"({"error":"no route"})");
    Watcher watcher(*stub_, id);
    EXPECT_EQ(watcher.Next(), "PENDING") << status;
    EXPECT_EQ(watcher.last().id(), -1);
    api_.SetOperation(id, "SUCCESS", "polled");
    EXPECT_EQ(watcher.Next(), "completed polled") << status;
    EXPECT_EQ(watcher.Next(), "");
    EXPECT_OK(watcher.Finish());
  }
}

TEST_F(ContreeServiceTest, EventsThatAreNotReadyAreAskedForAgain) {
  api_.SetOperation(kOperation, "EXECUTING");
  std::atomic<int> asked = 0;
  EventFeed feed;
  SendRun(feed);
  api_.On(absl::StrCat("GET /v1/operations/", kOperation, "/events"), [&](HttpExchange& exchange) {
    if (++asked < 3) {
      exchange.SetHeader("Retry-After", "0.001");
      exchange.Respond(425, "application/json", R"({"error":"not ready"})");
    } else {
      feed.Serve(exchange);
    }
  });
  Watcher watcher(*stub_, kOperation);
  while (watcher.Next() != "exited 0") ASSERT_FALSE(watcher.last().has_completed());
  EXPECT_EQ(asked, 3);
  feed.CloseConnections();
  feed.AwaitOpenConnections(0);
  // Finished, but the log is not durable yet: the record says it all.
  api_.SetOperation(kOperation, "SUCCESS", "done");
  api_.On(absl::StrCat("GET /v1/operations/", kOperation, "/events"), [](HttpExchange& exchange) {
    exchange.SetHeader("Retry-After", "3");
    exchange.Respond(410, "application/json", R"({"error":"finished; events not yet durable"})");
  });
  while (!watcher.last().has_completed()) ASSERT_NE(watcher.Next(), "");
  EXPECT_EQ(watcher.last().completed().instance().stdout().data(), "done");
}

TEST_F(ContreeServiceTest, WhatDoesNotExistIsNotFoundByItsId) {
  Watcher watcher(*stub_, kOther);
  EXPECT_EQ(watcher.Next(), "");
  EXPECT_THAT(watcher.Finish(), StatusIs(absl::StatusCode::kNotFound, HasSubstr(kOther)));
  EXPECT_THAT(GetOperation(kOther), StatusIs(absl::StatusCode::kNotFound, HasSubstr(kOther)));
  EXPECT_THAT(GetOperation("x/../y"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("x/../y")));
  Watcher malformed(*stub_, "nonsense");
  EXPECT_EQ(malformed.Next(), "");
  EXPECT_THAT(malformed.Finish(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("nonsense")));
}

TEST_F(ContreeServiceTest, LeavingEndsTheFollowingOfWhatNobodyElseWatches) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  feed.Send(0, "init", "{}", 0);
  auto first = std::make_unique<Watcher>(*stub_, kOperation);
  auto second = std::make_unique<Watcher>(*stub_, kOperation);
  EXPECT_EQ(first->Next(), "EXECUTING");
  EXPECT_EQ(second->Next(), "EXECUTING");
  EXPECT_EQ(feed.connections(), 1);
  first->Cancel();
  EXPECT_THAT(first->Finish(), StatusIs(absl::StatusCode::kCancelled, testing::_));
  feed.Send(1, "stdout", R"({"value":"x","encoding":"ascii"})");
  EXPECT_EQ(second->Next(), "output x");
  second->Cancel();
  EXPECT_THAT(second->Finish(), StatusIs(absl::StatusCode::kCancelled, testing::_));
  feed.AwaitOpenConnections(0);
  // Coming back works.
  Watcher third(*stub_, kOperation);
  EXPECT_EQ(third.Next(), "EXECUTING");
}

TEST_F(ContreeServiceTest, WatchesASetUntilAllAreFinal) {
  EventFeed& one = api_.Feed(kOperation);
  EventFeed& two = api_.Feed(kOther);
  api_.SetOperation(kOperation, "EXECUTING");
  api_.SetOperation(kOther, "EXECUTING");
  const std::string missing = "01a0d8ca-28fd-777e-8000-000000000009";
  v1::WatchOperationsRequest request;
  for (const std::string& id :
       {std::string(kOperation), missing, std::string(kOther), std::string(kOther)}) {
    request.add_operation_ids(id);
  }
  OutgoingCall call(NewCallContext(absl::Seconds(20)));
  auto reader = stub_->WatchOperations(call.client_context(), request);
  v1::WatchOperationsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.operation_id(), missing);
  EXPECT_EQ(response.error().code(), static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_THAT(response.error().message(), HasSubstr(missing));
  api_.SetOperation(kOther, "SUCCESS", "two");
  two.Send(0, "completion", "{}", 0);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.operation_id(), kOther);
  EXPECT_EQ(response.operation().instance().stdout().data(), "two");
  api_.SetOperation(kOperation, "FAILED");
  one.Send(0, "completion", "{}", 0);
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.operation_id(), kOperation);
  EXPECT_EQ(response.operation().state(), v1::OPERATION_STATE_FAILED);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ContreeServiceTest, WatchesASetUntilAnyIsFinal) {
  api_.Feed(kOperation);
  EventFeed& two = api_.Feed(kOther);
  api_.SetOperation(kOperation, "EXECUTING");
  api_.SetOperation(kOther, "SUCCESS", "two");
  two.Send(0, "completion", "{}", 0);
  v1::WatchOperationsRequest request;
  request.add_operation_ids(kOperation);
  request.add_operation_ids(kOther);
  request.set_mode(v1::WATCH_MODE_ANY);
  OutgoingCall call(NewCallContext(absl::Seconds(20)));
  auto reader = stub_->WatchOperations(call.client_context(), request);
  v1::WatchOperationsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.operation_id(), kOther);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ContreeServiceTest, AnEmptySetIsInvalid) {
  OutgoingCall call(NewCallContext(absl::Seconds(20)));
  auto reader = stub_->WatchOperations(call.client_context(), {});
  v1::WatchOperationsResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_THAT(FromGrpcStatus(reader->Finish()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 to 1000")));
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

TEST_F(ContreeServiceTest, StoppingEndsWatchesWithUnavailable) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  feed.Send(0, "init", "{}", 0);
  Watcher watcher(*stub_, kOperation);
  EXPECT_EQ(watcher.Next(), "EXECUTING");
  service_->Stop();
  EXPECT_EQ(watcher.Next(), "");
  EXPECT_THAT(watcher.Finish(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr(kOperation)));
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

TEST_F(ContreeServiceTest, WhatIsNotBuiltIsUnimplemented) {
  EXPECT_THAT(
      Call(&v1::ContreeService::StubInterface::GetImageLineage, v1::GetImageLineageRequest()),
      StatusIs(absl::StatusCode::kUnimplemented, testing::_));
}

TEST_F(ContreeServiceTest, ACompletionReachesItsWatcherQuickly) {
  std::vector<absl::Duration> times;
  for (int i = 0; i < 100; ++i) {
    const std::string id = absl::StrCat("01a0d8ca-28fd-777e-8000-", 100000000000 + i);
    EventFeed& feed = api_.Feed(id);
    feed.Send(0, "init", "{}", 0);
    Watcher watcher(*stub_, id);
    EXPECT_EQ(watcher.Next(), "EXECUTING");
    api_.SetOperation(id, "SUCCESS", "x");
    const absl::Time start = absl::Now();
    feed.Send(1, "completion", "{}", 0);
    EXPECT_EQ(watcher.Next(), "completed x");
    times.push_back(absl::Now() - start);
  }
  std::sort(times.begin(), times.end());
  RecordProperty("p50_microseconds", static_cast<int>(absl::ToInt64Microseconds(times[50])));
  std::printf("completion event to watcher: p50 %d us, p99 %d us\n",
              static_cast<int>(absl::ToInt64Microseconds(times[50])),
              static_cast<int>(absl::ToInt64Microseconds(times[98])));
}

}  // namespace
}  // namespace contree
