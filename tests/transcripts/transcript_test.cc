#include "tests/transcripts/transcript.h"

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"

namespace contree::transcripts {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

std::string Mismatch(const char* expected, const char* actual) {
  return MatchJson(json::parse(expected), json::parse(actual)).value_or("");
}

TEST(MatchJsonTest, WhatIsEqualMatches) {
  EXPECT_EQ(Mismatch(R"({"a":[1,"b",null]})", R"({"a":[1,"b",null]})"), "");
  EXPECT_EQ(Mismatch("1", "2"), "/: expected 1, got 2");
  EXPECT_EQ(Mismatch(R"({"a":{"b":1}})", R"({"a":{"b":"1"}})"), R"(/a/b: expected 1, got "1")");
}

TEST(MatchJsonTest, AStarStandsForAnyTextOrAnyValue) {
  EXPECT_EQ(Mismatch(R"({"a":"*"})", R"({"a":[1,2]})"), "");
  EXPECT_EQ(Mismatch(R"("*tool*name")", R"("unknown tool, bad name")"), "");
  EXPECT_THAT(Mismatch(R"("*tool*name")", R"("unknown tool, bad names")"), HasSubstr("expected"));
  EXPECT_THAT(Mismatch(R"("a*a")", R"("a")"), HasSubstr("expected"));
}

TEST(MatchJsonTest, MoreThanExpectedIsAllowedOnlyWhereItIsSaid) {
  EXPECT_EQ(Mismatch(R"({"a":1})", R"({"a":1,"b":2})"), "/b: not expected, but it is 2");
  EXPECT_EQ(Mismatch(R"({"a":1,"...":"*"})", R"({"a":1,"b":2})"), "");
  EXPECT_EQ(Mismatch(R"({"a":1,"...":"*"})", R"({"b":2})"), "/a: missing");
  EXPECT_THAT(Mismatch("[1]", "[1,2]"), HasSubstr("expected [1]"));
  EXPECT_EQ(Mismatch(R"([1,"..."])", "[1,2]"), "");
  EXPECT_THAT(Mismatch(R"([1,2,"..."])", "[1]"), HasSubstr("expected"));
}

TEST(ParseTranscriptTest, MessagesAndWhatIsExpected) {
  ASSERT_OK_AND_ASSIGN(const Transcript transcript,
                       ParseTranscript("# A rule.\n@ stdio\n> 1\n> 2\n< 3\n# why\n>c \\x41\n< 5"));
  EXPECT_EQ(transcript.guards, " A rule.\n");
  EXPECT_TRUE(transcript.over_stdio);
  EXPECT_FALSE(transcript.over_http);
  ASSERT_EQ(transcript.exchanges.size(), 2u);
  EXPECT_THAT(transcript.exchanges[0].sent, ElementsAre("1", "2"));
  EXPECT_THAT(transcript.exchanges[0].expected, ElementsAre(json(3)));
  EXPECT_THAT(transcript.exchanges[1].sent, ElementsAre("A"));
  EXPECT_EQ(transcript.exchanges[1].line, 7);
}

TEST(ParseTranscriptTest, HeadersAndStatusBelongToOneRequest) {
  ASSERT_OK_AND_ASSIGN(
      const Transcript transcript,
      ParseTranscript("# A rule.\n@ http\n~ Origin: http://x\n~ -Accept\n~ :method GET\n> 1\n"
                      "? 403\n> 2"));
  ASSERT_EQ(transcript.exchanges.size(), 2u);
  const Exchange& first = transcript.exchanges[0];
  EXPECT_EQ(first.method, "GET");
  EXPECT_THAT(first.status, Optional(403));
  EXPECT_EQ(first.headers.at(0).second, "http://x");
  EXPECT_EQ(first.headers.at(1).second, std::nullopt);
  EXPECT_TRUE(transcript.exchanges[1].headers.empty());
}

TEST(ParseTranscriptTest, WhatCannotBeReadIsNamedByItsLine) {
  EXPECT_THAT(ParseTranscript("# A rule.\n@ stdio\n> 1\nx").status().message(),
              HasSubstr("line 4"));
  EXPECT_THAT(ParseTranscript("# A rule.\n@ stdio\n> 1\n< {").status().message(),
              HasSubstr("line 4"));
  EXPECT_THAT(ParseTranscript("@ stdio\n> 1").status().message(), HasSubstr("guarded"));
  EXPECT_THAT(ParseTranscript("# A rule.\n> 1").status().message(), HasSubstr("transports"));
}

}  // namespace
}  // namespace contree::transcripts
