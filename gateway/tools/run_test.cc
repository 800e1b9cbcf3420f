#include <atomic>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using contree::v1::Operation;
using contree::v1::OperationEvent;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Operation Succeeded() {
  Operation record;
  record.set_kind(contree::v1::OPERATION_KIND_INSTANCE);
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  record.set_image(kBusyboxUuid);
  record.mutable_instance()->set_exit_code(0);
  return record;
}

OperationEvent OutputEvent(const std::string& data) {
  OperationEvent event;
  event.mutable_output()->set_stream(OperationEvent::STREAM_STDOUT);
  event.mutable_output()->set_data(data);
  return event;
}

TEST(RunTest, TheRequestCarriesEveryArgument) {
  FakeBackend backend;
  backend.CallOk("run", {{"command", "printf"},
                         {"image", "tag:busybox:latest"},
                         {"shell", false},
                         {"args", {"%s", "a b"}},
                         {"env", {{"KEY", "value"}}},
                         {"cwd", "/tmp"},
                         {"timeout", 7},
                         {"disposable", false},
                         {"stdin", "in\nput"},
                         {"files", {{"/work/a", "11111111-1111-4111-8111-111111111111"}}},
                         {"truncate_output_at", 100},
                         {"uid", 1000},
                         {"gid", 4294967295},
                         {"hostname", "box"},
                         {"preserve_env", true},
                         {"max_layer_bytes", 1048576},
                         {"networking", false}});
  const FakeCalls calls = backend.service().calls();
  ASSERT_EQ(calls.run.size(), 1U);
  const contree::v1::RunInstanceRequest& request = calls.run[0];
  EXPECT_EQ(request.command(), "printf");
  EXPECT_EQ(request.image(), "tag:busybox:latest");
  EXPECT_FALSE(request.shell());
  EXPECT_THAT(request.args(), testing::ElementsAre("%s", "a b"));
  EXPECT_THAT(request.env(), testing::ElementsAre(testing::Pair("KEY", "value")));
  EXPECT_EQ(request.cwd(), "/tmp");
  EXPECT_EQ(request.timeout().seconds(), 7);
  EXPECT_FALSE(request.disposable());
  EXPECT_EQ(request.stdin(), "in\nput");
  ASSERT_EQ(request.files_size(), 1);
  EXPECT_EQ(request.files().at("/work/a").uuid(), "11111111-1111-4111-8111-111111111111");
  EXPECT_EQ(request.truncate_output_at(), 100);
  EXPECT_EQ(request.uid(), 1000U);
  EXPECT_EQ(request.gid(), 4294967295U);
  EXPECT_EQ(request.hostname(), "box");
  EXPECT_TRUE(request.preserve_env());
  EXPECT_EQ(request.max_layer_bytes(), 1048576);
  EXPECT_TRUE(request.networking_disabled());
}

TEST(RunTest, WhatIsLeftOutHasItsDefault) {
  FakeBackend backend;
  // Clients fill in null where the user gave nothing.
  backend.CallOk("run", {{"command", "true"},
                         {"image", kBusyboxUuid},
                         {"stdin", nullptr},
                         {"timeout", nullptr},
                         {"env", nullptr}});
  const contree::v1::RunInstanceRequest request = backend.service().calls().run.at(0);
  EXPECT_TRUE(request.shell());
  EXPECT_EQ(request.args_size(), 0);
  EXPECT_EQ(request.env_size(), 0);
  EXPECT_EQ(request.cwd(), "");
  EXPECT_EQ(request.timeout().seconds(), 30);
  EXPECT_TRUE(request.disposable());
  EXPECT_EQ(request.stdin(), "");
  EXPECT_EQ(request.files_size(), 0);
  EXPECT_EQ(request.truncate_output_at(), 8000);
  EXPECT_EQ(request.uid(), 0U);
  EXPECT_EQ(request.gid(), 0U);
  EXPECT_EQ(request.hostname(), "linuxkit");
  EXPECT_FALSE(request.preserve_env());
  EXPECT_EQ(request.max_layer_bytes(), 12884901888);
  EXPECT_FALSE(request.networking_disabled());
}

TEST(RunTest, WaitingReturnsTheWholeRecord) {
  FakeBackend backend;
  const json result = backend.CallOk("run", {{"command", "echo hi"}, {"image", kBusyboxUuid}});
  EXPECT_EQ(result, json({{"operation_id", "op-1"},
                          {"kind", "instance"},
                          {"state", "SUCCESS"},
                          {"image", kBusyboxUuid},
                          {"filesystem_changed", false},
                          {"exit_code", 0},
                          {"signal", 0},
                          {"timed_out", false},
                          {"stdout", "echo hi"},
                          {"stdout_truncated", false},
                          {"stderr", ""},
                          {"stderr_truncated", false}}));
}

TEST(RunTest, TheDeadlineOfAWaitingRunIsItsTimeoutAndAMargin) {
  FakeBackend backend;
  const absl::Time before = absl::Now();
  backend.CallOk("run", {{"command", "true"}, {"image", kBusyboxUuid}, {"timeout", 600}});
  const absl::Time deadline = backend.service().calls().run_deadlines.at(0);
  EXPECT_GE(deadline, before + absl::Seconds(659));
  EXPECT_LE(deadline, absl::Now() + absl::Seconds(661));
}

TEST(RunTest, WithoutWaitingItReturnsTheIdAtOnce) {
  FakeBackend backend;
  backend.service().HoldOperations();
  const json result =
      backend.CallOk("run", {{"command", "sleep 1"}, {"image", kBusyboxUuid}, {"wait", false}});
  EXPECT_EQ(result, json({{"operation_id", "op-1"}}));
  EXPECT_TRUE(backend.service().calls().watch.empty());
}

TEST(RunTest, BinaryOutputIsBase64AndTextStaysText) {
  FakeBackend backend;
  backend.service().HoldOperations();
  std::thread completer([&backend] {
    backend.service().WaitForWatches(1);
    Operation record = Succeeded();
    record.mutable_instance()->mutable_stdout()->set_data("\xff\x00x", 3);
    record.mutable_instance()->mutable_stderr()->set_data("ü\xe2\x82");  // cut in a character
    record.mutable_instance()->mutable_stderr()->set_truncated(true);
    backend.service().Complete("op-1", record);
  });
  const json result = backend.CallOk("run", {{"command", "x"}, {"image", kBusyboxUuid}});
  completer.join();
  EXPECT_EQ(result["stdout"], "/wB4");
  EXPECT_EQ(result["stdout_encoding"], "base64");
  EXPECT_EQ(result["stderr"], "ü");
  EXPECT_EQ(result["stderr_truncated"], true);
  EXPECT_FALSE(result.contains("stderr_encoding"));
}

TEST(RunTest, ProgressNamesTheOperationFirstAndThenTheNewestLine) {
  FakeBackend backend;
  backend.service().HoldOperations();
  std::thread completer([&backend] {
    backend.service().WaitForWatches(1);
    OperationEvent state;
    state.mutable_state_changed()->set_state(contree::v1::OPERATION_STATE_EXECUTING);
    backend.service().Emit("op-1", state);
    backend.service().Emit("op-1", OutputEvent("one\ntwo\n\n"));
    backend.service().Emit("op-1", OutputEvent("\n"));
    backend.service().Complete("op-1", Succeeded());
  });
  std::vector<std::string> messages;
  RequestContext context;
  context.call = NewCallContext(absl::Seconds(60));
  context.report_progress = [&messages](absl::string_view message) {
    messages.emplace_back(message);
  };
  backend.Call("run", {{"command", "x"}, {"image", kBusyboxUuid}}, context);
  completer.join();
  EXPECT_THAT(messages, testing::ElementsAre("operation op-1 started", "EXECUTING", "two"));
}

TEST(RunTest, AnExplicitCancellationCancelsTheOperation) {
  FakeBackend backend;
  backend.service().HoldOperations();
  std::stop_source stop;
  std::atomic<bool> cancelled = false;
  std::thread canceller([&] {
    backend.service().WaitForWatches(1);
    cancelled = true;
    stop.request_stop();
  });
  RequestContext context;
  context.call = NewCallContext(absl::Seconds(60));
  context.call.stop = stop.get_token();
  context.cancelled_by_client = [&cancelled] { return cancelled.load(); };
  backend.Call("run", {{"command", "sleep 9"}, {"image", kBusyboxUuid}}, context);
  canceller.join();
  EXPECT_THAT(backend.service().calls().cancelled, testing::ElementsAre("op-1"));
}

TEST(RunTest, ACancellationBeforeTheIdIsKnownCancelsTheOperationToo) {
  FakeBackend backend;
  backend.service().HoldOperations();
  std::stop_source stop;
  stop.request_stop();
  for (const bool wait : {true, false}) {
    RequestContext context;
    context.call = NewCallContext(absl::Seconds(60));
    context.call.stop = stop.get_token();
    context.cancelled_by_client = [] { return true; };
    backend.Call("run", {{"command", "x"}, {"image", kBusyboxUuid}, {"wait", wait}}, context);
  }
  EXPECT_THAT(backend.service().calls().cancelled, testing::ElementsAre("op-1", "op-2"));
}

TEST(RunTest, AConnectionThatBreaksCancelsNothing) {
  FakeBackend backend;
  backend.service().HoldOperations();
  std::stop_source stop;
  std::thread breaker([&] {
    backend.service().WaitForWatches(1);
    stop.request_stop();
  });
  RequestContext context;
  context.call = NewCallContext(absl::Seconds(60));
  context.call.stop = stop.get_token();
  const json result =
      backend.Call("run", {{"command", "sleep 9"}, {"image", kBusyboxUuid}}, context);
  breaker.join();
  EXPECT_TRUE(backend.service().calls().cancelled.empty());
  EXPECT_THAT(result["content"][0]["text"].get<std::string>(), HasSubstr("operation op-1"));
}

TEST(RunTest, AStreamThatBreaksIsTakenUpWhereItEnded) {
  FakeBackend backend;
  backend.service().HoldOperations();
  backend.service().BreakNextWatch(2, {grpc::StatusCode::UNAVAILABLE, "restarting"});
  std::thread completer([&backend] {
    backend.service().WaitForWatches(1);
    backend.service().Emit("op-1", OutputEvent("one\n"));
    backend.service().Emit("op-1", OutputEvent("two\n"));
    backend.service().WaitForWatches(2);
    backend.service().Emit("op-1", OutputEvent("three\n"));
    backend.service().Complete("op-1", Succeeded());
  });
  std::vector<std::string> messages;
  RequestContext context;
  context.call = NewCallContext(absl::Seconds(60));
  context.report_progress = [&messages](absl::string_view message) {
    messages.emplace_back(message);
  };
  const json result = backend.Call("run", {{"command", "x"}, {"image", kBusyboxUuid}}, context);
  completer.join();
  EXPECT_FALSE(result["isError"]);
  EXPECT_THAT(messages, testing::ElementsAre("operation op-1 started", "one", "two", "three"));
  const FakeCalls calls = backend.service().calls();
  ASSERT_EQ(calls.watch.size(), 2U);
  EXPECT_FALSE(calls.watch[0].has_after_event_id());
  EXPECT_EQ(calls.watch[1].after_event_id(), 2);
}

TEST(RunTest, AnErrorThatDoesNotPassNamesTheOperation) {
  FakeBackend backend;
  backend.service().HoldOperations();
  backend.service().BreakNextWatch(0, {grpc::StatusCode::PERMISSION_DENIED, "the token ended"});
  const std::string text = backend.CallError("run", {{"command", "x"}, {"image", kBusyboxUuid}});
  EXPECT_THAT(text, AllOf(HasSubstr("operation op-1"), HasSubstr("the token ended")));
}

TEST(RunTest, AnOperationThatThePlatformFailedIsAnErrorWithItsRecord) {
  FakeBackend backend;
  backend.service().HoldOperations();
  std::thread completer([&backend] {
    backend.service().WaitForWatches(1);
    Operation record = Succeeded();
    record.set_state(contree::v1::OPERATION_STATE_FAILED);
    record.set_error("no room on the node");
    record.clear_instance();
    backend.service().Complete("op-1", record);
  });
  const json result = backend.Call("run", {{"command", "x"}, {"image", kBusyboxUuid}});
  completer.join();
  EXPECT_TRUE(result["isError"]);
  EXPECT_EQ(result["structuredContent"]["state"], "FAILED");
  EXPECT_EQ(result["structuredContent"]["error"], "no room on the node");
}

TEST(RunTest, AnUnknownImageIsAnErrorThatNamesIt) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("run", {{"command", "x"}, {"image", "tag:nope"}}),
              HasSubstr("'tag:nope'"));
}

sync::v1::StateFile StateFile(const std::string& path, const std::string& uuid,
                              uint32_t mode = 0644) {
  sync::v1::StateFile file;
  file.set_path(path);
  file.set_file_uuid(uuid);
  file.set_mode(mode);
  return file;
}

TEST(RunTest, ADirectoryStatesFilesGoIntoTheRunAndThoseOfFilesWin) {
  FakeBackend backend;
  backend.sync_service().AddState(
      "ds_1", {StateFile("/work/a", "uuid of a", 0755), StateFile("/work/b", "uuid of b")});
  backend.CallOk("run", {{"command", "x"},
                         {"image", kBusyboxUuid},
                         {"directory_state_id", "ds_1"},
                         {"files", {{"/work/b", "other"}, {"/c", "uuid of c"}}}});
  const contree::v1::RunInstanceRequest request = backend.service().calls().run.at(0);
  ASSERT_EQ(request.files_size(), 3);
  EXPECT_EQ(request.files().at("/work/a").uuid(), "uuid of a");
  EXPECT_EQ(request.files().at("/work/a").mode(), 0755U);
  EXPECT_EQ(request.files().at("/work/b").uuid(), "other");
  EXPECT_EQ(request.files().at("/c").uuid(), "uuid of c");
}

TEST(RunTest, AStateThatIsNotKnownStartsNothing) {
  FakeBackend backend;
  EXPECT_THAT(
      backend.CallError(
          "run", {{"command", "x"}, {"image", kBusyboxUuid}, {"directory_state_id", "ds_2"}}),
      HasSubstr("no directory state ds_2"));
  EXPECT_TRUE(backend.service().calls().run.empty());
}

TEST(RunTest, AFileThatThePlatformDroppedSaysToSyncAgain) {
  FakeBackend backend;
  backend.sync_service().AddState("ds_1", {StateFile("/work/a", "uuid of a")});
  backend.sync_service().LoseFilesOf("ds_1");
  backend.service().LoseFile("uuid of a");
  EXPECT_THAT(
      backend.CallError(
          "run", {{"command", "x"}, {"image", kBusyboxUuid}, {"directory_state_id", "ds_1"}}),
      HasSubstr("call rsync again"));
}

TEST(RunTest, AFileThatThePlatformHasUnderAnotherIdIsFound) {
  FakeBackend backend;
  backend.sync_service().AddState("ds_1", {StateFile("/work/a", "uuid of before")},
                                  {StateFile("/work/a", "uuid of now")});
  backend.service().LoseFile("uuid of before");
  backend.CallOk("run",
                 {{"command", "x"}, {"image", kBusyboxUuid}, {"directory_state_id", "ds_1"}});
  EXPECT_EQ(backend.service().calls().run.at(0).files().at("/work/a").uuid(), "uuid of now");
}

TEST(RunTest, AnUnknownImageIsNotTakenForALostFile) {
  FakeBackend backend;
  backend.sync_service().AddState("ds_1", {StateFile("/work/a", "uuid of a")});
  backend.sync_service().LoseFilesOf("ds_1");
  EXPECT_THAT(backend.CallError(
                  "run", {{"command", "x"}, {"image", "tag:nope"}, {"directory_state_id", "ds_1"}}),
              HasSubstr("'tag:nope'"));
}

TEST(RunTest, WithoutSyncServiceAStateIsAnErrorThatSaysSo) {
  FakeBackend backend;
  backend.RemoveSync();
  EXPECT_THAT(
      backend.CallError(
          "run", {{"command", "x"}, {"image", kBusyboxUuid}, {"directory_state_id", "ds_1"}}),
      HasSubstr("--sync-service"));
}

TEST(RunTest, BadArgumentsAreErrorsThatSayWhatToMend) {
  FakeBackend backend;
  const auto error = [&backend](json arguments) {
    arguments.emplace("command", "x");
    arguments.emplace("image", kBusyboxUuid);
    return backend.CallError("run", arguments);
  };
  EXPECT_THAT(error({{"timeout", "30"}}),
              AllOf(HasSubstr("'timeout' is \"30\""), HasSubstr("an integer from 1 to 3600"),
                    HasSubstr("write 30 without quotes")));
  EXPECT_THAT(error({{"timeout", 3601}}), HasSubstr("'timeout' is 3601"));
  EXPECT_THAT(error({{"timeout", 1.5}}), HasSubstr("'timeout' is 1.5"));
  EXPECT_THAT(error({{"shell", "true"}}), HasSubstr("write true without quotes"));
  EXPECT_THAT(error({{"args", "a b"}}), HasSubstr("an array of strings"));
  EXPECT_THAT(error({{"args", {"a", 5}}}), HasSubstr("'args[1]' is 5; it must be a string"));
  EXPECT_THAT(error({{"command", ""}}), HasSubstr("a string, not empty"));
  EXPECT_THAT(error({{"time_out", 5}}),
              AllOf(HasSubstr("unknown argument 'time_out'"), HasSubstr("'timeout'?")));
  // A secret that was put in the wrong form is not repeated.
  const std::string env = error({{"env", {{"TOKEN", 123456}}}});
  EXPECT_THAT(env, AllOf(HasSubstr("'env.TOKEN'"), Not(HasSubstr("123456"))));
  EXPECT_TRUE(backend.service().calls().run.empty());
}

}  // namespace
}  // namespace contree::gateway
