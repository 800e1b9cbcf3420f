#include "gateway/tools/arguments.h"

#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kSchema[] = R"({
  "type": "object",
  "required": ["name"],
  "properties": {
    "name": {"type": "string", "minLength": 1, "description": "Who."},
    "count": {"type": "integer", "minimum": 1, "default": 3},
    "list": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}}
  }
})";

std::unique_ptr<ArgumentChecker> Checker() {
  auto checker = ArgumentChecker::Create(kSchema);
  EXPECT_OK(checker);
  return *std::move(checker);
}

absl::Status Error(const json& arguments) { return Checker()->Check(arguments).status(); }

TEST(ArgumentCheckerTest, DefaultsAreFilledInAndNullCountsAsLeftOut) {
  ASSERT_OK_AND_ASSIGN(const json checked,
                       Checker()->Check({{"name", "a"}, {"count", nullptr}, {"list", nullptr}}));
  EXPECT_EQ(checked, json({{"name", "a"}, {"count", 3}}));
}

TEST(ArgumentCheckerTest, AWholeNumberIsAnIntegerHoweverItIsWritten) {
  ASSERT_OK_AND_ASSIGN(const json checked, Checker()->Check({{"name", "a"}, {"count", 5.0}}));
  EXPECT_TRUE(checked["count"].is_number_integer());
  EXPECT_EQ(checked["count"], 5);
  EXPECT_FALSE(Error({{"name", "a"}, {"count", 5.5}}).ok());
  EXPECT_FALSE(Error({{"name", "a"}, {"count", 1e300}}).ok());
}

TEST(ArgumentCheckerTest, AMissingOneIsNamedWithWhatIsWanted) {
  for (const json& arguments : {json::object(), json{{"name", nullptr}}, json(nullptr)}) {
    EXPECT_THAT(Error(arguments),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         "argument 'name' is missing: give a string, not empty (Who.)"));
  }
}

TEST(ArgumentCheckerTest, AnUnknownOneIsNamedWithTheKnownOnes) {
  EXPECT_THAT(Error({{"name", "a"}, {"counter", 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "unknown argument 'counter' (did you mean 'count'?): this tool takes "
                       "count, list, name"));
}

TEST(ArgumentCheckerTest, AWrongOneIsShownWithItsPlace) {
  EXPECT_THAT(Error({{"name", "a"}, {"count", 0}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "argument 'count' is 0; it must be an integer of at least 1; left out, it "
                       "is 3"));
  EXPECT_THAT(
      Error({{"name", "a"}, {"list", {{{"x", 1}}, {{"x", "2"}}}}}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               R"(argument 'list[1].x' is "2"; it must be an integer; write 2 without quotes)"));
  EXPECT_THAT(Error({{"name", json::array()}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'name' is an array")));
}

TEST(ArgumentCheckerTest, ALongValueIsCutBetweenTwoCharacters) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "ü";
  const absl::Status status = Error({{"name", "a"}, {"count", text}});
  EXPECT_LT(status.message().size(), 250U);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ü… (a string)")));
}

TEST(ArgumentCheckerTest, OnlyAnObjectSchemaIsTaken) {
  for (const char* schema : {"", "[]", "{}", R"({"type": "array"})", R"({"type": 5})",
                             R"({"type": "object", "properties": []})"}) {
    EXPECT_FALSE(ArgumentChecker::Create(schema).ok()) << schema;
  }
}

TEST(JsonSchemaTest, AForeignReferenceIsRefused) {
  EXPECT_FALSE(
      JsonSchema::Compile({{"properties", {{"a", {{"$ref", "http://127.0.0.1:1/x"}}}}}}).ok());
}

}  // namespace
}  // namespace contree::gateway
