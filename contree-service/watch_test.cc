// Operations followed and watched through in-process gRPC, against an API that breaks where each
// test says.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "contree-service/testing/service_test.h"

namespace contree {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kOperation[] = "01a0d8ca-28fd-777e-8000-000000000001";
constexpr char kOther[] = "01a0d8ca-28fd-777e-8000-000000000002";

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
    EXPECT_EQ(json["files"]["/x"], nlohmann::json::parse(R"({"uuid":
        "28f5d6d6-f977-42a8-8000-000000000003", "mode": "0750", "uid": 1000, "gid": 100})"));
    exchange.Respond(201, "application/json", absl::StrCat("{\"uuid\":\"", kOperation, "\"}"));
  });
  v1::RunInstanceRequest request;
  request.set_command("echo");
  request.set_image("busybox");
  v1::AttachedFile& file = (*request.mutable_files())["/x"];
  file.set_uuid("28f5d6d6-f977-42a8-8000-000000000003");
  file.set_mode(0750);
  file.set_uid(1000);
  file.set_gid(100);
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

TEST_F(ContreeServiceTest, AStreamThatRepeatsSkipsAndGarblesLosesNothing) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  Watcher watcher(*stub_, kOperation);
  const std::string once = R"({"value":"once","encoding":"ascii"})";
  feed.Send(0, "init", "{}", 0);
  feed.Send(4, "stdout", once);
  feed.Send(4, "stdout", once);
  feed.Send(2, "stdout", once);
  feed.SendRaw("id: 5\nevent: stdout\ndata: {\"id\":5,\"type\":\n\n");
  feed.Send(6, "from_the_future", R"({"value":1})");
  feed.Send(9, "stdout", R"({"value":"more","encoding":"ascii"})");
  EXPECT_EQ(watcher.Next(), "EXECUTING");
  EXPECT_EQ(watcher.Next(), "output once");
  EXPECT_EQ(watcher.Next(), "output more");
  api_.SetOperation(kOperation, "SUCCESS", "done");
  feed.Send(10, "completion", "{}", 0);
  EXPECT_THAT(watcher.Rest(), ElementsAre("completed done"));
  EXPECT_EQ(feed.connections(), 1);
}

TEST_F(ContreeServiceTest, AStreamThatStallsIsResumed) {
  max_stream_silence_ = absl::Milliseconds(200);
  Restart();
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  Watcher watcher(*stub_, kOperation);
  feed.Send(0, "init", "{}", 0);
  feed.Send(1, "stdout", R"({"value":"a","encoding":"ascii"})");
  EXPECT_EQ(watcher.Next(), "EXECUTING");
  EXPECT_EQ(watcher.Next(), "output a");
  // Not closed, just silent: nobody may wait for it for ever.
  feed.Stall();
  feed.Send(2, "stdout", R"({"value":"b","encoding":"ascii"})");
  EXPECT_EQ(watcher.Next(), "output b");
  EXPECT_EQ(feed.last_event_ids()[0], "");
  EXPECT_EQ(feed.last_event_ids()[1], "1");
  api_.SetOperation(kOperation, "SUCCESS", "ab");
  feed.Send(3, "completion", "{}", 0);
  EXPECT_EQ(watcher.Next(), "completed ab");
}

TEST_F(ContreeServiceTest, AnUnknownStateIsNoEnd) {
  api_.SetOperation(kOperation, "HIBERNATING");
  api_.On(absl::StrCat("GET /v1/operations/", kOperation, "/events"), 404, "{}");
  Watcher watcher(*stub_, kOperation);
  const std::string record = absl::StrCat("GET /v1/operations/", kOperation);
  api_.AwaitCount(record, 3);
  EXPECT_EQ(GetOperation(kOperation)->state(), v1::OPERATION_STATE_UNSPECIFIED);
  api_.SetOperation(kOperation, "EXECUTING");
  EXPECT_EQ(watcher.Next(), "EXECUTING");
  api_.SetOperation(kOperation, "SUCCESS", "woke up");
  EXPECT_THAT(watcher.Rest(), ElementsAre("completed woke up"));
}

TEST_F(ContreeServiceTest, EventsThatRedirectElsewhereAreLeftAndThePlatformIsPolled) {
  ScriptedApi elsewhere;
  elsewhere.On("GET /steal", 200, "{}");
  api_.SetOperation(kOperation, "EXECUTING");
  api_.On(absl::StrCat("GET /v1/operations/", kOperation, "/events"), [&](HttpExchange& exchange) {
    exchange.SetHeader("Location", elsewhere.url() + "/steal");
    exchange.Respond(307);
  });
  Watcher watcher(*stub_, kOperation);
  EXPECT_EQ(watcher.Next(), "EXECUTING");
  api_.SetOperation(kOperation, "SUCCESS", "polled");
  EXPECT_THAT(watcher.Rest(), ElementsAre("completed polled"));
  EXPECT_EQ(elsewhere.Count("GET /steal"), 0);
}

TEST_F(ContreeServiceTest, AnEventBeyondAnyBoundIsNotHeld) {
  EventFeed& feed = api_.Feed(kOperation);
  api_.SetOperation(kOperation, "EXECUTING");
  Watcher watcher(*stub_, kOperation);
  feed.SendRaw("id: 1\ndata: " + std::string(6 << 20, 'x'));
  feed.AwaitConnections(2);
  api_.SetOperation(kOperation, "SUCCESS", "whole");
  feed.Send(2, "completion", "{}", 0);
  EXPECT_EQ(watcher.Rest().back(), "completed whole");
}

TEST_F(ContreeServiceTest, ManyOperationsAreFollowedAtOnce) {
  constexpr int kOperations = 300;
  v1::WatchOperationsRequest request;
  std::vector<EventFeed*> feeds;
  for (int i = 0; i < kOperations; ++i) {
    const std::string id = absl::StrCat("01a0d8ca-28fd-777e-8000-", 100000000000 + i);
    feeds.push_back(&api_.Feed(id));
    api_.SetOperation(id, "EXECUTING");
    request.add_operation_ids(id);
  }
  OutgoingCall call(NewCallContext(absl::Seconds(60)));
  auto reader = stub_->WatchOperations(call.client_context(), request);
  for (EventFeed* feed : feeds) feed->AwaitOpenConnections(1);
  // The last one is the first to end: nobody waits behind another.
  v1::WatchOperationsResponse response;
  for (int i = kOperations - 1; i >= 0; --i) {
    api_.SetOperation(request.operation_ids(i), "SUCCESS", "x");
    feeds[i]->Send(0, "completion", "{}", 0);
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.operation_id(), request.operation_ids(i));
    EXPECT_TRUE(response.has_operation());
  }
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_TRUE(reader->Finish().ok());
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
