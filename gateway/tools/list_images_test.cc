#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kOther[] = "95ba4f1b-a511-425b-8a3e-000000000002";

TEST(ListImagesTest, AnImageHasWhatIsKnownOfIt) {
  FakeBackend backend;
  contree::v1::Image image;
  image.set_uuid(kOther);
  image.mutable_created_at()->set_seconds(1'700'000'000);
  image.mutable_created_at()->set_nanos(500'000'000);
  image.set_operation_id("op-9");
  backend.service().AddImage(image);
  EXPECT_EQ(backend.CallOk("list_images", json::object()),
            json({{"images",
                   {{{"uuid", kBusyboxUuid}, {"tag", "busybox:latest"}},
                    {{"uuid", kOther},
                     {"created_at", "2023-11-14T22:13:20.5Z"},
                     {"operation_id", "op-9"}}}}}));
}

TEST(ListImagesTest, FiltersTravelAndHaveDefaults) {
  FakeBackend backend;
  backend.CallOk("list_images", nullptr);
  backend.CallOk("list_images", {{"limit", 5.0},
                                 {"offset", 10},
                                 {"tagged", true},
                                 {"tag_prefix", "common/"},
                                 {"since", "1d"},
                                 {"until", "2h"}});
  const FakeCalls calls = backend.service().calls();
  EXPECT_EQ(calls.list_images.at(0).limit(), 100);
  EXPECT_EQ(calls.list_images.at(0).offset(), 0);
  EXPECT_FALSE(calls.list_images.at(0).tagged());
  const contree::v1::ListImagesRequest& request = calls.list_images.at(1);
  EXPECT_EQ(request.limit(), 5);
  EXPECT_EQ(request.offset(), 10);
  EXPECT_TRUE(request.tagged());
  EXPECT_EQ(request.tag_prefix(), "common/");
  EXPECT_EQ(request.since(), "1d");
  EXPECT_EQ(request.until(), "2h");
}

TEST(ListImagesTest, TheLimitIsBounded) {
  FakeBackend backend;
  for (const int limit : {0, 1001, -1}) {
    EXPECT_THAT(backend.CallError("list_images", {{"limit", limit}}),
                HasSubstr("an integer from 1 to 1000"));
  }
}

TEST(ListImagesTest, APlatformThatIsAwayIsSaidInPlainWords) {
  FakeBackend backend;
  backend.service().FailCalls({grpc::StatusCode::UNAVAILABLE, "connection refused"});
  EXPECT_EQ(backend.CallError("list_images", json::object()),
            "The platform cannot be reached: connection refused. Operations that run go on; try "
            "again in a moment.");
}

}  // namespace
}  // namespace contree::gateway
