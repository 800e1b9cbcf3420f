#include "gateway/resources/uri_template.h"

#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::Optional;
using testing::Pair;

UriTemplate Parse(const char* text) { return UriTemplate::Parse(text).value(); }

TEST(UriTemplateTest, TheLastVariableHoldsSlashes) {
  const UriTemplate file = Parse("contree://image/{image}/read/{path}");
  EXPECT_THAT(
      file.Match("contree://image/tag:alpine:latest/read/etc/apk/world"),
      Optional(ElementsAre(Pair("image", "tag:alpine:latest"), Pair("path", "etc/apk/world"))));
  EXPECT_THAT(file.Match("contree://image/a/read//read/x"),
              Optional(ElementsAre(Pair("image", "a"), Pair("path", "/read/x"))));
}

TEST(UriTemplateTest, ValuesArePercentDecoded) {
  const UriTemplate file = Parse("contree://image/{image}/read/{path}");
  EXPECT_THAT(
      file.Match("contree://image/tag%3Acommon%2Fpython/read/a%20b%c3%A9"),
      Optional(ElementsAre(Pair("image", "tag:common/python"), Pair("path", "a b\xc3\xa9"))));
  for (const char* broken : {"%", "%4", "%zz", "a%00b", "%84", "a%C3", "%ED%A0%80", ""}) {
    EXPECT_THAT(file.Match(std::string("contree://image/x/read/") + broken), Eq(std::nullopt))
        << broken;
  }
}

TEST(UriTemplateTest, ALiteralBehindAVariableIsTheEnd) {
  const UriTemplate lineage = Parse("contree://image/{image}/lineage");
  EXPECT_THAT(lineage.Match("contree://image/lineage/lineage"),
              Optional(ElementsAre(Pair("image", "lineage"))));
  EXPECT_THAT(lineage.Match("contree://image/x/lineage/more"), Eq(std::nullopt));
  EXPECT_THAT(lineage.Match("contree://image/x/y/lineage"), Eq(std::nullopt));
  EXPECT_THAT(lineage.Match("contree://image//lineage"), Eq(std::nullopt));
  EXPECT_THAT(lineage.Match("contree://image/lineage"), Eq(std::nullopt));
  EXPECT_THAT(lineage.Match("contree://"), Eq(std::nullopt));
}

TEST(UriTemplateTest, WithoutVariablesItIsTheText) {
  EXPECT_THAT(Parse("test://static").Match("test://static"), Optional(ElementsAre()));
  EXPECT_THAT(Parse("test://static").Match("test://static/"), Eq(std::nullopt));
}

TEST(UriTemplateTest, BadTemplatesAreRefused) {
  for (const char* bad : {"a{", "a}", "{}", "{a}{b}", "{+a}", "{a}/{a}", "{a}x{b}}"}) {
    EXPECT_THAT(UriTemplate::Parse(bad).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << bad;
  }
}

}  // namespace
}  // namespace contree::gateway
