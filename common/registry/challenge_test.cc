#include "common/registry/challenge.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(ChallengeTest, ReadsWhatRegistriesSend) {
  const auto hub = ParseChallenges(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull",error="insufficient_scope")");
  ASSERT_EQ(hub.size(), 1u);
  EXPECT_EQ(hub[0].scheme, "bearer");
  EXPECT_THAT(hub[0].parameters, ElementsAre(Pair("error", "insufficient_scope"),
                                             Pair("realm", "https://auth.docker.io/token"),
                                             Pair("scope", "repository:library/alpine:pull"),
                                             Pair("service", "registry.docker.io")));
  const auto basic = ParseChallenges("BASIC Realm = \"Registry \\\"Realm\\\", here\"");
  ASSERT_EQ(basic.size(), 1u);
  EXPECT_EQ(basic[0].scheme, "basic");
  EXPECT_THAT(basic[0].parameters, ElementsAre(Pair("realm", "Registry \"Realm\", here")));
}

TEST(ChallengeTest, SeveralChallengesMayStandInOneHeader) {
  const auto challenges = ParseChallenges(
      R"(Negotiate, NTLM TlRMTVNTUAA=, Basic realm="a, b" , charset=UTF-8 ,, Bearer realm="https://x/y",scope="a:b:pull c:d:push,pull")");
  ASSERT_EQ(challenges.size(), 4u);
  EXPECT_EQ(challenges[0].scheme, "negotiate");
  EXPECT_EQ(challenges[1].scheme, "ntlm");
  EXPECT_EQ(challenges[2].scheme, "basic");
  EXPECT_EQ(challenges[2].parameters.at("realm"), "a, b");
  EXPECT_EQ(challenges[2].parameters.at("charset"), "UTF-8");
  EXPECT_EQ(challenges[3].scheme, "bearer");
  EXPECT_EQ(challenges[3].parameters.at("scope"), "a:b:pull c:d:push,pull");
}

TEST(ChallengeTest, WhatCannotBeUnderstoodEndsTheReading) {
  EXPECT_TRUE(ParseChallenges("").empty());
  EXPECT_TRUE(ParseChallenges(" , ,").empty());
  EXPECT_TRUE(ParseChallenges("\"x\"").empty());
  // A quoted string without its end is no value, not the rest of the header.
  const auto open = ParseChallenges("Bearer realm=\"https://x");
  ASSERT_FALSE(open.empty());
  EXPECT_TRUE(open[0].parameters.empty());
  // A second realm does not replace the first.
  const auto twice = ParseChallenges(R"(Bearer realm="https://one",realm="https://two")");
  ASSERT_EQ(twice.size(), 1u);
  EXPECT_EQ(twice[0].parameters.at("realm"), "https://one");
  EXPECT_LE(ParseChallenges(std::string(100'000, 'a') + " ").size(), 1u);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "Basic x=y,";
  EXPECT_LE(ParseChallenges(many).size(), 16u);
}

}  // namespace
}  // namespace contree
