#include "gateway/testing/fake_backend.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

TEST(SetTagTest, ATagIsSetOrRemoved) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallOk("set_tag", {{"image_uuid", kBusyboxUuid}, {"tag", "common/x:1"}}),
            json({{"uuid", kBusyboxUuid}, {"tag", "common/x:1"}}));
  EXPECT_EQ(backend.CallOk("set_tag", {{"image_uuid", kBusyboxUuid}}),
            json({{"uuid", kBusyboxUuid}}));
  const FakeCalls calls = backend.service().calls();
  EXPECT_EQ(calls.set_tag.at(0).tag(), "common/x:1");
  EXPECT_EQ(calls.set_tag.at(1).tag(), "");
}

}  // namespace
}  // namespace contree::gateway
