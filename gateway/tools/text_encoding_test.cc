#include "gateway/tools/text_encoding.h"

#include <string>

#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

TEST(EncodeBytesTest, NoByteIsReplaced) {
  EXPECT_EQ(EncodeBytes("a\xff").text, "Yf8=");
  EXPECT_TRUE(EncodeBytes("a\xff").is_base64);
  EXPECT_EQ(EncodeBytes("ü").text, "ü");
  EXPECT_FALSE(EncodeBytes("ü").is_base64);
}

TEST(EncodeBytesTest, OnlyATruncatedTextMayLoseTheCharacterThatWasCut) {
  for (const char* cut : {"a\xc3", "a\xe2\x82", "a\xf0\x9f\x98", "a\xf0"}) {
    EXPECT_EQ(EncodeBytes(cut, /*truncated=*/true).text, "a");
    EXPECT_TRUE(EncodeBytes(cut, /*truncated=*/false).is_base64);
  }
  EXPECT_EQ(EncodeBytes("aü", /*truncated=*/true).text, "aü");
  EXPECT_TRUE(EncodeBytes("\xff\xfe"
                          "a",
                          /*truncated=*/true)
                  .is_base64);
}

}  // namespace
}  // namespace contree::gateway
