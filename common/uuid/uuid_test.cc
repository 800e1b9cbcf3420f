#include "common/uuid/uuid.h"

#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(UuidTest, Version4IsCanonicalAndNeverTheSame) {
  const std::string a = NewUuidV4();
  EXPECT_TRUE(IsUuid(a)) << a;
  EXPECT_EQ(a[14], '4');
  EXPECT_NE(a, NewUuidV4());
}

TEST(UuidTest, Version7SortsByTime) {
  const std::string earlier = NewUuidV7(absl::FromUnixMillis(1'000'000'000'000));
  const std::string later = NewUuidV7(absl::FromUnixMillis(1'000'000'000'001));
  EXPECT_TRUE(IsUuid(earlier)) << earlier;
  EXPECT_EQ(earlier[14], '7');
  EXPECT_EQ(earlier.substr(0, 13), "00e8d4a5-1000");
  EXPECT_LT(earlier, later);
}

TEST(UuidTest, OnlyTheCanonicalFormIsAUuid) {
  EXPECT_TRUE(IsUuid("95ba4f1b-a511-325b-8a3e-000000000000"));
  EXPECT_FALSE(IsUuid("95BA4F1B-A511-325B-8A3E-000000000000"));
  EXPECT_FALSE(IsUuid("95ba4f1ba511325b8a3e000000000000"));
  EXPECT_FALSE(IsUuid("95ba4f1b-a511-325b-8a3e-00000000000g"));
  EXPECT_FALSE(IsUuid("busybox:latest"));
  EXPECT_FALSE(IsUuid(""));
}

}  // namespace
}  // namespace contree
