#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(CancelOperationTest, ARunningOneIsCancelledAndAnEndedOneIsNot) {
  FakeBackend backend;
  backend.service().AddOperation("a");
  EXPECT_EQ(backend.CallOk("cancel_operation", {{"operation_id", "a"}}),
            json({{"cancelled", true}, {"operation_id", "a"}, {"state", "CANCELLED"}}));
  EXPECT_EQ(backend.CallOk("cancel_operation", {{"operation_id", "a"}}),
            json({{"cancelled", false}, {"operation_id", "a"}, {"state", "CANCELLED"}}));
}

TEST(CancelOperationTest, AnErrorNamesTheOperation) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("cancel_operation", {{"operation_id", "nope"}}),
              HasSubstr("no such operation: 'nope'"));
}

}  // namespace
}  // namespace contree::gateway
