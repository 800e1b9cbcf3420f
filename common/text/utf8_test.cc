#include "common/text/utf8.h"

#include "gtest/gtest.h"

namespace contree {
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

TEST(WithoutCutCharacterTest, DropsNothingButThat) {
  EXPECT_EQ(WithoutCutCharacter("a\xe2\x82"), "a");
  EXPECT_EQ(WithoutCutCharacter("aü"), "aü");
  EXPECT_EQ(WithoutCutCharacter(""), "");
}

}  // namespace
}  // namespace contree
