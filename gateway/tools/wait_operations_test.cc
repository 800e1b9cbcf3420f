#include <thread>

#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using contree::v1::Operation;
using nlohmann::json;
using testing::HasSubstr;

Operation Record(contree::v1::OperationState state) {
  Operation record;
  record.set_kind(contree::v1::OPERATION_KIND_INSTANCE);
  record.set_state(state);
  return record;
}

const Operation kSuccess = Record(contree::v1::OPERATION_STATE_SUCCESS);

TEST(WaitOperationsTest, AllWaitsForEveryOneAndAsksForEachOnce) {
  FakeBackend backend;
  for (const char* id : {"a", "b"}) backend.service().AddOperation(id);
  std::thread completer([&backend] {
    backend.service().WaitForWatches(1);
    backend.service().Complete("b", Record(contree::v1::OPERATION_STATE_FAILED));
    backend.service().Complete("a", kSuccess);
  });
  const json result = backend.CallOk("wait_operations", {{"operation_ids", {"a", "b", "a"}}});
  completer.join();
  EXPECT_EQ(result["completed"], json({"a", "b"}));
  EXPECT_EQ(result["pending"], json::array());
  EXPECT_EQ(result["cancelled"], json::array());
  EXPECT_EQ(result["timed_out"], false);
  EXPECT_EQ(result["results"]["a"]["state"], "SUCCESS");
  EXPECT_EQ(result["results"]["b"]["state"], "FAILED");
  const FakeCalls calls = backend.service().calls();
  ASSERT_EQ(calls.watch_many.size(), 1U);
  EXPECT_THAT(calls.watch_many[0].operation_ids(), testing::ElementsAre("a", "b"));
  EXPECT_EQ(calls.watch_many[0].mode(), contree::v1::WATCH_MODE_ALL);
  EXPECT_TRUE(calls.cancelled.empty());
}

TEST(WaitOperationsTest, AnyCancelsTheOthers) {
  FakeBackend backend;
  for (const char* id : {"a", "b", "c"}) backend.service().AddOperation(id);
  std::thread completer([&backend] {
    backend.service().WaitForWatches(1);
    backend.service().Complete("b", kSuccess);
  });
  const json result =
      backend.CallOk("wait_operations", {{"operation_ids", {"a", "b", "c"}}, {"mode", "any"}});
  completer.join();
  EXPECT_EQ(result["completed"], json({"b"}));
  EXPECT_EQ(result["cancelled"], json({"a", "c"}));
  EXPECT_EQ(result["pending"], json::array());
  EXPECT_EQ(result["results"]["a"]["state"], "CANCELLED");
  EXPECT_THAT(backend.service().calls().cancelled, testing::UnorderedElementsAre("a", "c"));
}

TEST(WaitOperationsTest, ATimeoutCancelsNothingAndListsWhatIsPending) {
  FakeBackend backend;
  for (const char* id : {"a", "b"}) backend.service().AddOperation(id);
  backend.service().Complete("a", kSuccess);
  const json result =
      backend.CallOk("wait_operations", {{"operation_ids", {"a", "b"}}, {"timeout", 1}});
  EXPECT_EQ(result["completed"], json({"a"}));
  EXPECT_EQ(result["pending"], json({"b"}));
  EXPECT_EQ(result["timed_out"], true);
  EXPECT_TRUE(backend.service().calls().cancelled.empty());
}

TEST(WaitOperationsTest, AnUnknownOperationDoesNotHideTheOthers) {
  FakeBackend backend;
  backend.service().AddOperation("a");
  backend.service().Complete("a", kSuccess);
  const json result = backend.CallOk("wait_operations", {{"operation_ids", {"a", "nope"}}});
  EXPECT_EQ(result["completed"], json({"a"}));
  EXPECT_EQ(result["errors"], json({{"nope", "no such operation"}}));
}

TEST(WaitOperationsTest, NoKnownOperationIsAnError) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("wait_operations", {{"operation_ids", {"nope"}}}),
              HasSubstr("no such operation"));
}

TEST(WaitOperationsTest, AStreamThatBreaksIsTakenUpForWhatIsOpen) {
  FakeBackend backend;
  backend.service().AddOperation("a");
  backend.service().BreakNextWatchOfMany({grpc::StatusCode::UNAVAILABLE, "restarting"});
  std::thread completer([&backend] {
    backend.service().WaitForWatches(2);
    backend.service().Complete("a", kSuccess);
  });
  const json result = backend.CallOk("wait_operations", {{"operation_ids", {"a"}}});
  completer.join();
  EXPECT_EQ(result["completed"], json({"a"}));
}

TEST(WaitOperationsTest, AnErrorThatDoesNotPassNamesTheOperations) {
  FakeBackend backend;
  for (const char* id : {"a", "b"}) backend.service().AddOperation(id);
  backend.service().BreakNextWatchOfMany({grpc::StatusCode::PERMISSION_DENIED, "not you"});
  EXPECT_THAT(backend.CallError("wait_operations", {{"operation_ids", {"a", "b"}}}),
              HasSubstr("operations a, b: not you"));
}

TEST(WaitOperationsTest, BadArgumentsAreErrors) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("wait_operations", {{"operation_ids", json::array()}}),
              HasSubstr("at least 1"));
  EXPECT_THAT(backend.CallError("wait_operations", {{"operation_ids", "a"}}),
              HasSubstr("give the array itself, not a string"));
  EXPECT_THAT(backend.CallError("wait_operations", {{"operation_ids", {"a"}}, {"mode", "some"}}),
              HasSubstr(R"('mode' is "some"; it must be one of "all", "any")"));
}

}  // namespace
}  // namespace contree::gateway
