#include "standalone/client_config/json_edit.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"

namespace contree::standalone {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

const JsonPath kPath = {"mcpServers", "contree"};

std::string With(absl::string_view text, const ordered_json& value = {{"command", "/c"}}) {
  const absl::StatusOr<std::string> result = WithJsonMember(text, kPath, value);
  EXPECT_OK(result.status());
  return result.value_or("");
}

std::string Without(absl::string_view text) {
  const absl::StatusOr<std::string> result = WithoutJsonMember(text, kPath);
  EXPECT_OK(result.status());
  return result.value_or("");
}

std::string ErrorOf(absl::string_view text) {
  const absl::StatusOr<std::string> result = WithJsonMember(text, kPath, ordered_json::object());
  EXPECT_TRUE(absl::IsInvalidArgument(result.status())) << text << "\n" << result.status();
  return std::string(result.status().message());
}

TEST(JsonEditTest, ANewFileIsIndentedByTwo) {
  constexpr char kExpected[] = R"({
  "mcpServers": {
    "contree": {
      "command": "/c"
    }
  }
}
)";
  EXPECT_EQ(With(""), kExpected);
  EXPECT_EQ(With(" \n"), kExpected);
  EXPECT_EQ(With("{}\n"), kExpected);
}

TEST(JsonEditTest, KeepsEveryByteOfTheRest) {
  constexpr char kBefore[] = R"({
    // who I am
    "theme" : "dark",   "numbers": [1, 2,
       3],
    "mcpServers": {
        "other": { "command": "npx" } // mine, not yours
    },
    "last": 1e-3
}
)";
  constexpr char kAfter[] = R"({
    // who I am
    "theme" : "dark",   "numbers": [1, 2,
       3],
    "mcpServers": {
        "other": { "command": "npx" }, // mine, not yours
        "contree": {
            "command": "/c"
        }
    },
    "last": 1e-3
}
)";
  EXPECT_EQ(With(kBefore), kAfter);
  EXPECT_EQ(With(kAfter), kAfter);
  EXPECT_EQ(Without(kAfter), kBefore);
  EXPECT_EQ(Without(kBefore), kBefore);
}

TEST(JsonEditTest, TabsLineEndsAndACommaAtTheEndAreTakenOver) {
  EXPECT_EQ(
      With("{\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {},\r\n\t},\r\n}\r\n"),
      "{\r\n\t\"mcpServers\": {\r\n\t\t\"a\": {},\r\n\t\t\"contree\": {\r\n\t\t\t\"command\": "
      "\"/c\"\r\n\t\t},\r\n\t},\r\n}\r\n");
  EXPECT_EQ(Without(With("{\n\t\"mcpServers\": {\n\t\t\"a\": {},\n\t},\n}")),
            "{\n\t\"mcpServers\": {\n\t\t\"a\": {},\n\t},\n}");
}

TEST(JsonEditTest, WhatStandsInOneLineStaysInOneLine) {
  EXPECT_EQ(With(R"({"mcpServers": {"a": {}}, "b": 1})"),
            R"({"mcpServers": {"a": {}, "contree": {"command":"/c"}}, "b": 1})");
  EXPECT_EQ(With(R"({"b":1})"), R"({"b":1, "mcpServers": {"contree":{"command":"/c"}}})");
  EXPECT_EQ(Without(R"({"mcpServers": {"a": {}, "contree": {}}})"), R"({"mcpServers": {"a": {}}})");
  EXPECT_EQ(Without(R"({"mcpServers": {"contree": {}, "a": {}}})"), R"({"mcpServers": {"a": {}}})");
  EXPECT_EQ(Without(R"({"mcpServers": {"contree": {}}})"), R"({"mcpServers": {}})");
}

TEST(JsonEditTest, CommentsInAnEmptyObjectStay) {
  EXPECT_EQ(With("{\n  \"mcpServers\": {\n    // \"old\": {}\n  }\n}\n"),
            "{\n  \"mcpServers\": {\n    \"contree\": {\n      \"command\": \"/c\"\n    }\n    // "
            "\"old\": {}\n  }\n}\n");
}

TEST(JsonEditTest, AnExistingMemberIsReplacedInItsPlace) {
  EXPECT_EQ(With("{\n  \"mcpServers\": {\n    \"contree\": { \"command\": \"/old\" },\n    \"z\": "
                 "{}\n  }\n}\n"),
            "{\n  \"mcpServers\": {\n    \"contree\": {\n      \"command\": \"/c\"\n    },\n    "
            "\"z\": {}\n  }\n}\n");
  // The same value, written otherwise, is no change.
  constexpr char kSame[] = R"({"mcpServers": {"contree": {"command" : "\/c" /* here */}}})";
  EXPECT_EQ(With(kSame), kSame);
}

TEST(JsonEditTest, TheLastMemberLeavesNoCommaBehind) {
  EXPECT_EQ(Without("{\n  \"mcpServers\": {\n    \"a\": {}, // a\n    \"contree\": {}\n  }\n}\n"),
            "{\n  \"mcpServers\": {\n    \"a\": {} // a\n  }\n}\n");
  for (const char* text :
       {"{\"mcpServers\": {\"a\": 1,\n\"contree\": {\n}}}",
        "{\"mcpServers\":{\"a\":1,\"contree\":1}}", "{\"mcpServers\":{\"a\":1 , \"contree\":1 } }",
        "{\"mcpServers\":{\"contree\":1 , \"a\":1}}",
        "{\"mcpServers\":{\n\"contree\":1 ,\n \"a\":1}}"}) {
    const ordered_json left = ordered_json::parse(Without(text), nullptr, false);
    EXPECT_EQ(left, (ordered_json{{"mcpServers", {{"a", 1}}}})) << text << "\n" << Without(text);
  }
}

TEST(JsonEditTest, FindsWhatIsThere) {
  EXPECT_EQ(FindJsonMember(R"({"mcpServers": {"contree": [1, /* , */ 2]}})", kPath).value(),
            "[1, /* , */ 2]");
  EXPECT_EQ(FindJsonMember("\xEF\xBB\xBF{}", kPath).value(), std::nullopt);
  EXPECT_EQ(FindJsonMember("", kPath).value(), std::nullopt);
}

TEST(JsonEditTest, MistakesAreNamedByLineAndColumn) {
  EXPECT_THAT(ErrorOf("{\n  \"a\": 1\n  \"b\": 2\n}"), HasSubstr("line 3, column 3: ',' or '}'"));
  EXPECT_THAT(ErrorOf("{\n  \"ü\": tru\n}"), HasSubstr("line 2, column 8: 'tru' is no JSON value"));
  EXPECT_THAT(ErrorOf("{\"a\": \"b\n\"}"), HasSubstr("line 1, column 7: this string has no end"));
  EXPECT_THAT(ErrorOf("{\"a\": \"\\x\"}"), HasSubstr("line 1, column 7: this string is not valid"));
  EXPECT_THAT(ErrorOf("{ /* no end"), HasSubstr("line 1, column 3: this comment has no end"));
  EXPECT_THAT(ErrorOf("{\"a\": 1} // ok /* ok\n}"), HasSubstr("line 2, column 1: nothing may"));
  EXPECT_THAT(ErrorOf("{\"a\": [1, }"), HasSubstr("column 11: a value is expected"));
  EXPECT_THAT(ErrorOf("{\"a\": "), HasSubstr("the text ends"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("line 1, column 1: an object"));
  EXPECT_THAT(ErrorOf("{'a': 1}"), HasSubstr("double quotes"));
  EXPECT_THAT(ErrorOf("{\"mcpServers\": []}"), HasSubstr("\"mcpServers\" must be an object"));
  EXPECT_THAT(ErrorOf("{\"mcpServers\": {}, \"mcpServers\": {}}"),
              HasSubstr("column 20: \"mcpServers\" is there twice"));
}

TEST(JsonEditTest, DeepNestingIsRefusedInsteadOfOverflowingTheStack) {
  EXPECT_THAT(ErrorOf("{\"a\": " + std::string(1'000'000, '[')), HasSubstr("too deeply nested"));
}

}  // namespace
}  // namespace contree::standalone
