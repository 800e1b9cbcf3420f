#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(GrepTest, TheRequestCarriesEveryArgument) {
  FakeBackend backend;
  backend.CallOk("grep", {{"image", "tag:busybox:latest"},
                          {"pattern", "a|b"},
                          {"path", "/etc"},
                          {"glob", "*.conf"},
                          {"max_count", 3},
                          {"max_total", 7},
                          {"case", "smart"}});
  const contree::v1::GrepRequest request = backend.service().calls().grep.at(0);
  EXPECT_EQ(request.image(), "tag:busybox:latest");
  EXPECT_THAT(request.patterns(), ElementsAre("a|b"));
  EXPECT_THAT(request.paths(), ElementsAre("/etc"));
  EXPECT_THAT(request.globs(), ElementsAre("*.conf"));
  EXPECT_EQ(request.max_count(), 3);
  EXPECT_EQ(request.max_total(), 7);
  EXPECT_EQ(request.case_(), contree::v1::GREP_CASE_SMART);
}

TEST(GrepTest, WhatIsLeftOutHasItsDefault) {
  FakeBackend backend;
  const json found = backend.CallOk("grep", {{"image", kBusyboxUuid}, {"pattern", "x"}});
  EXPECT_EQ(
      found,
      json({{"path", "/"}, {"patterns", {"x"}}, {"truncated", false}, {"matches", json::array()}}));
  const contree::v1::GrepRequest request = backend.service().calls().grep.at(0);
  EXPECT_THAT(request.paths(), ElementsAre("/"));
  EXPECT_EQ(request.globs_size(), 0);
  EXPECT_EQ(request.max_count(), 0);
  EXPECT_EQ(request.max_total(), 1000);
  EXPECT_EQ(request.case_(), contree::v1::GREP_CASE_SENSITIVE);
}

TEST(GrepTest, MatchesHavePathsThatReadFileTakesAndLinesWithoutTheirEnd) {
  FakeBackend backend;
  contree::v1::GrepResponse answer;
  answer.set_truncated(true);
  contree::v1::GrepMatch* match = answer.add_matches();
  match->set_path("etc/passwd");
  match->set_line_number(1);
  match->set_line_text("root:x:0\r\n");
  match = answer.add_matches();
  match->set_path("/etc/group");
  match->set_line_number(12);
  match->set_line_text("  grüße");
  backend.service().SetGrepAnswer(answer);
  const json found =
      backend.CallOk("grep", {{"image", kBusyboxUuid}, {"pattern", "x"}, {"path", "/etc"}});
  EXPECT_EQ(found,
            json({{"path", "/etc"},
                  {"patterns", {"x"}},
                  {"truncated", true},
                  {"matches",
                   {{{"path", "/etc/passwd"}, {"line_number", 1}, {"line_text", "root:x:0"}},
                    {{"path", "/etc/group"}, {"line_number", 12}, {"line_text", "  grüße"}}}}}));
}

TEST(GrepTest, BadArgumentsAndMissingImagesAreErrorsThatNameThem) {
  FakeBackend backend;
  EXPECT_THAT(backend.CallError("grep", {{"image", "tag:nope"}, {"pattern", "x"}}),
              HasSubstr("tag:nope"));
  EXPECT_THAT(backend.CallError("grep", {{"image", kBusyboxUuid}}), HasSubstr("pattern"));
  EXPECT_THAT(backend.CallError("grep", {{"image", kBusyboxUuid}, {"pattern", ""}}),
              HasSubstr("pattern"));
  EXPECT_THAT(
      backend.CallError("grep", {{"image", kBusyboxUuid}, {"pattern", "x"}, {"case", "Smart"}}),
      AllOf(HasSubstr("case"), HasSubstr("smart")));
}

}  // namespace
}  // namespace contree::gateway
