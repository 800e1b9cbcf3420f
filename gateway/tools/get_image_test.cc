#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kOther[] = "95ba4f1b-a511-425b-8a3e-000000000002";

TEST(GetImageTest, ATagIsResolved) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallOk("get_image", {{"image", "tag:busybox:latest"}}),
            json({{"uuid", kBusyboxUuid}, {"tag", "busybox:latest"}}));
}

TEST(GetImageTest, AMissingImageIsAnErrorThatNamesIt) {
  FakeBackend backend;
  EXPECT_EQ(backend.CallError("get_image", {{"image", kOther}}),
            "no such image: '95ba4f1b-a511-425b-8a3e-000000000002'; list_images shows the images");
  EXPECT_THAT(backend.CallError("get_image", json::object()),
              HasSubstr("argument 'image' is missing"));
}

}  // namespace
}  // namespace contree::gateway
