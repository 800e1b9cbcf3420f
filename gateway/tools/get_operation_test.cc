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

TEST(GetOperationTest, AnErrorNamesTheOperation) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("get_operation", {{"operation_id", "nope"}}),
              HasSubstr("no such operation: 'nope'"));
}

}  // namespace
}  // namespace contree::gateway
