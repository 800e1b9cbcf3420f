// get_operation, list_operations and cancel_operation.

#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(GetOperationTest, ARunningOneHasNoResultYet) {
  FakeBackend backend;
  backend.service().AddOperation("a");
  EXPECT_EQ(backend.CallOk("get_operation", {{"operation_id", "a"}}),
            json({{"operation_id", "a"}, {"kind", "instance"}, {"state", "EXECUTING"}}));
}

TEST(GetOperationTest, AFailedOneIsNoErrorOfTheCall) {
  FakeBackend backend;
  backend.service().AddOperation("a");
  contree::v1::Operation record;
  record.set_kind(contree::v1::OPERATION_KIND_IMAGE_IMPORT);
  record.set_state(contree::v1::OPERATION_STATE_FAILED);
  record.set_error("no such manifest");
  backend.service().Complete("a", record);
  EXPECT_EQ(backend.CallOk("get_operation", {{"operation_id", "a"}}),
            json({{"operation_id", "a"},
                  {"kind", "image_import"},
                  {"state", "FAILED"},
                  {"error", "no such manifest"}}));
}

TEST(GetOperationTest, EveryErrorNamesTheOperation) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("get_operation", {{"operation_id", "nope"}}),
              HasSubstr("operation nope: "));
  EXPECT_THAT(backend.CallError("cancel_operation", {{"operation_id", "nope"}}),
              HasSubstr("operation nope: "));
}

TEST(ListOperationsTest, FiltersTravelAndSummariesComeBack) {
  FakeBackend backend;
  backend.service().AddOperation("a");
  contree::v1::Operation record;
  record.set_kind(contree::v1::OPERATION_KIND_INSTANCE);
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  record.mutable_created_at()->set_seconds(60);
  record.mutable_duration()->set_nanos(250'000'000);
  backend.service().Complete("a", record);
  EXPECT_EQ(
      backend.CallOk("list_operations",
                     {{"limit", 3}, {"status", "SUCCESS"}, {"type", "instance"}, {"since", "1h"}}),
      json({{"operations",
             {{{"uuid", "a"},
               {"kind", "instance"},
               {"state", "SUCCESS"},
               {"created_at", "1970-01-01T00:01:00Z"},
               {"duration_seconds", 0.25}}}}}));
  const contree::v1::ListOperationsRequest request =
      backend.service().calls().list_operations.at(0);
  EXPECT_EQ(request.limit(), 3);
  EXPECT_EQ(request.state(), contree::v1::OPERATION_STATE_SUCCESS);
  EXPECT_EQ(request.kind(), contree::v1::OPERATION_KIND_INSTANCE);
  EXPECT_EQ(request.since(), "1h");
}

TEST(ListOperationsTest, AnUnknownStatusIsAnErrorThatListsTheKnownOnes) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("list_operations", {{"status", "running"}}),
              HasSubstr(R"('status' is "running"; it must be one of "PENDING")"));
}

TEST(CancelOperationTest, ARunningOneIsCancelledAndAnEndedOneIsNot) {
  FakeBackend backend;
  backend.service().AddOperation("a");
  EXPECT_EQ(backend.CallOk("cancel_operation", {{"operation_id", "a"}}),
            json({{"cancelled", true}, {"operation_id", "a"}, {"state", "CANCELLED"}}));
  EXPECT_EQ(backend.CallOk("cancel_operation", {{"operation_id", "a"}}),
            json({{"cancelled", false}, {"operation_id", "a"}, {"state", "CANCELLED"}}));
}

}  // namespace
}  // namespace contree::gateway
