#include "gateway/tools/text_encoding.h"

#include <string>

#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

TEST(IsUtf8Test, WellFormedTextOfAnyLength) {
  for (const char* text : {"", "a", "ü", "€", "😀", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf",
                           "twenty-seven ASCII bytes ü!", "12345678ü"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  EXPECT_TRUE(IsUtf8(absl::string_view("a\0b", 3)));
}

TEST(IsUtf8Test, EverythingElseIsNot) {
  for (const char* bytes :
       {"\x80", "\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xe2\x28\xa1", "12345678\xc3"}) {
    EXPECT_FALSE(IsUtf8(bytes)) << bytes;
  }
}

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
