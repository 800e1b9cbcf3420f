#include "contree-service/image_reference.h"

#include <string>

#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using ::testing::HasSubstr;

constexpr char kUuid[] = "95ba4f1b-a511-325b-8000-000000000002";

TEST(ImageArgumentTest, TakesUuidsTagsAndBareNames) {
  EXPECT_EQ(ParseImageArgument(kUuid)->ForApi(), kUuid);
  EXPECT_EQ(ParseImageArgument("95BA4F1B-A511-325B-8000-000000000002")->uuid, kUuid);
  EXPECT_EQ(ParseImageArgument("tag:busybox:latest")->ForApi(), "tag:busybox:latest");
  EXPECT_EQ(ParseImageArgument(" busybox:latest ")->tag, "busybox:latest");
  EXPECT_EQ(ParseImageArgument(std::string("tag:") + kUuid)->tag, kUuid);
}

TEST(ImageArgumentTest, RefusesWhatCanBeNeither) {
  EXPECT_THAT(ParseImageArgument(""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(ParseImageArgument("tag:"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(ParseImageArgument("a b"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"a b\"")));
  EXPECT_THAT(ParseImageArgument("a\nb"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a\\nb")));
  EXPECT_THAT(ParseImageArgument(std::string(257, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("256")));
}

TEST(ImageArgumentTest, ChecksTags) {
  EXPECT_OK(CheckTag("scope/purpose/base:3.11-slim_1"));
  for (const char* tag : {"", ":a", "a/", "a b", "a@b", "ä"}) {
    EXPECT_THAT(CheckTag(tag),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not valid")))
        << tag;
  }
}

}  // namespace
}  // namespace contree
