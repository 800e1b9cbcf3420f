#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

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

}  // namespace
}  // namespace contree::gateway
