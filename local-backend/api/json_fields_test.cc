#include "local-backend/api/json_fields.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(JsonFieldsTest, GivesValuesAndDefaults) {
  const json object = {{"s", "text"},     {"b", true},         {"i", 7},
                       {"a", {"x", "y"}}, {"m", {{"k", "v"}}}, {"null", nullptr}};
  JsonFields fields(object);
  EXPECT_EQ(fields.String("s", ""), "text");
  EXPECT_EQ(fields.String("null", "d"), "d");
  EXPECT_EQ(fields.String("absent", "d"), "d");
  EXPECT_TRUE(fields.Bool("b", false));
  EXPECT_EQ(fields.Int("i", 0, 1, 7), 7);
  EXPECT_EQ(fields.Int("null", 5, 1, 7), 5);
  EXPECT_THAT(fields.Strings("a"), ElementsAre("x", "y"));
  EXPECT_EQ(fields.StringMap("m").at("k"), "v");
  EXPECT_TRUE(fields.StringMap("null").empty());
  EXPECT_EQ(fields.Object("absent"), nullptr);
  EXPECT_OK(fields.status());
}

TEST(JsonFieldsTest, NamesTheFirstWrongField) {
  const json object = {{"s", 1}, {"i", "x"}};
  JsonFields fields(object);
  fields.String("s", "");
  fields.Int("i", 0, 0, 9);
  EXPECT_THAT(fields.status(), StatusIs(absl::StatusCode::kInvalidArgument, "s must be a string"));
}

TEST(JsonFieldsTest, RefusesNumbersOutOfRangeAndOfOtherKinds) {
  for (const json& value :
       {json(-1), json(11), json(1.5), json("5"), json(18446744073709551615ULL), json(true)}) {
    const json object = {{"i", value}};
    JsonFields fields(object);
    fields.Int("i", 0, 0, 10);
    EXPECT_THAT(fields.status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("between 0 and 10")))
        << value;
  }
}

TEST(JsonFieldsTest, RefusesWrongElements) {
  for (const json& object : {json{{"f", {1}}}, json{{"f", "x"}}}) {
    JsonFields fields(object);
    fields.Strings("f");
    EXPECT_FALSE(fields.status().ok()) << object;
  }
  for (const json& object : {json{{"f", {{"k", 1}}}}, json{{"f", json::array()}}}) {
    JsonFields fields(object);
    fields.StringMap("f");
    EXPECT_FALSE(fields.status().ok()) << object;
  }
}

}  // namespace
}  // namespace contree
