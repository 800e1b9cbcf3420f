#include "common/text/hex.h"

#include <gtest/gtest.h>

namespace contree {
namespace {

TEST(HexTest, DigitsOfEitherCase) {
  EXPECT_EQ(HexDigit('0'), 0);
  EXPECT_EQ(HexDigit('9'), 9);
  EXPECT_EQ(HexDigit('a'), 10);
  EXPECT_EQ(HexDigit('F'), 15);
  for (const char c : {'g', 'G', '/', ':', '@', '`', '\0', '\xff'}) EXPECT_EQ(HexDigit(c), -1);
}

TEST(HexTest, PairsAreBytes) {
  EXPECT_EQ(BytesOfHex("00fFa1"), std::string("\0\xff\xa1", 3));
  EXPECT_EQ(BytesOfHex(""), "");
  for (const char* bad : {"0", "0g", "00 1", "0x10"}) EXPECT_EQ(BytesOfHex(bad), "") << bad;
}

}  // namespace
}  // namespace contree
