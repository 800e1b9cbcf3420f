#include "gateway/tools/byte_count.h"

#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

TEST(ByteCountTest, UnitsGrowWithTheNumber) {
  EXPECT_EQ(ByteCount(0), "0 bytes");
  EXPECT_EQ(ByteCount(1), "1 byte");
  EXPECT_EQ(ByteCount(1023), "1023 bytes");
  EXPECT_EQ(ByteCount(1536), "1.5 KiB");
  EXPECT_EQ(ByteCount(24 << 20), "24.0 MiB");
  EXPECT_EQ(ByteCount(int64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(ByteCount(int64_t{5} << 50), "5120.0 TiB");
}

}  // namespace
}  // namespace contree::gateway
