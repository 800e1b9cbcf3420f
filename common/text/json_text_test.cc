#include "common/text/json_text.h"

#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace contree {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string ByLibrary(const json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

TEST(JsonTextTest, WritesWhatTheLibraryWrites) {
  for (const char* text :
       {"null", "true", "false", "0", "-7", "9223372036854775807", "18446744073709551615", "1.5",
        "-2.5e-9", "1e300", "\"\"", "\"plain\"", "[]", "{}", "[[],{},[1,[2]]]",
        R"({"a":{"b":[1,2,{"c":null}]},"":"x"})", R"("\b\f\n\r\t\"\\\/\u0000\u001f")",
        R"("äöü € 😀 \u2028")", R"({"k\n\"":"v"})"}) {
    const json value = json::parse(text);
    EXPECT_EQ(ToJsonText(value), ByLibrary(value)) << text;
  }
}

TEST(JsonTextTest, KeepsTheOrderOfMembers) {
  EXPECT_EQ(ToJsonText(ordered_json{{"b", 1}, {"a", {{"d", 2}, {"c", 3}}}}),
            R"({"b":1,"a":{"d":2,"c":3}})");
}

TEST(JsonTextTest, ReplacesWhatIsNoUtf8AsTheLibraryDoes) {
  for (const std::string& text :
       {std::string("\x80"), std::string("a\xc3"), std::string("\xc0\xaf"),
        std::string("\xe0\x80\x80"), std::string("\xed\xa0\x80"), std::string("\xf0\x8f\xbf\xbf"),
        std::string("\xf4\x90\x80\x80"), std::string("\xf5"), std::string("x\xff\"\n"),
        std::string("\xe2\x82"), std::string("ok\0ok", 5)}) {
    EXPECT_EQ(ToJsonString(text), ByLibrary(json(text)));
    EXPECT_EQ(ToJsonText(json(text)), ByLibrary(json(text)));
  }
}

TEST(JsonTextTest, WritesAnyBytesAsTheLibraryDoes) {
  std::mt19937 random(4711);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (size_t i = random() % 24; i > 0; --i) {
      // Many that begin and go on with sequences of UTF-8, so that whole ones come up.
      constexpr char kBytes[] =
          "a\"\\\n\x7f\x80\xbf\xa0\x9f\x90\x8f\xc2\xdf\xe0\xe2\xed\xef\xf0\xf4\xf5";
      text.push_back(random() % 4 == 0 ? static_cast<char>(random())
                                       : kBytes[random() % (sizeof kBytes - 1)]);
    }
    ASSERT_EQ(ToJsonString(text), ByLibrary(json(text)));
  }
}

}  // namespace
}  // namespace contree
