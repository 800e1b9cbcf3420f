#include "local-backend/operations/stream_representation.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(StreamRepresentationTest, TextStaysAndAllElseIsBase64) {
  EXPECT_EQ(ToStreamRepresentation("a\tb\r\n~", false),
            (json{{"value", "a\tb\r\n~"}, {"encoding", "ascii"}, {"truncated", false}}));
  EXPECT_EQ(ToStreamRepresentation("\x7f", true),
            (json{{"value", "fw=="}, {"encoding", "base64"}, {"truncated", true}}));
  EXPECT_EQ(ToStreamRepresentation("ä", false)["encoding"], "base64");
  EXPECT_EQ(ToStreamRepresentation("", false)["value"], "");
}

TEST(StreamRepresentationTest, ReadsWhatItWrites) {
  for (const std::string& bytes : {std::string("text"), std::string("\0\xff", 2), std::string()}) {
    ASSERT_OK_AND_ASSIGN(const std::string read,
                         FromStreamRepresentation(ToStreamRepresentation(bytes, false)));
    EXPECT_EQ(read, bytes);
  }
}

TEST(StreamRepresentationTest, RefusesNonsense) {
  for (const json& wrong :
       {json("x"), json{{"value", 5}}, json{{"value", "x"}, {"encoding", "rot13"}},
        json{{"value", "?"}, {"encoding", "base64"}}, json{{"value", ""}, {"encoding", 1}}}) {
    EXPECT_THAT(FromStreamRepresentation(wrong),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("stream")))
        << wrong;
  }
  EXPECT_OK(FromStreamRepresentation(json{{"value", nullptr}, {"encoding", nullptr}}));
}

}  // namespace
}  // namespace contree
