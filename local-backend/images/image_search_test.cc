#include "local-backend/images/image_search.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SearchImageTest : public testing::Test {
 protected:
  SearchImageTest() : layer_(NewTestDirectory()) {
    std::filesystem::create_directories(layer_ + "/etc/sub");
    Put("etc/a.conf", "one\ntwo Needle\nthree\nfour needle needle\nfive");
    Put("etc/sub/.hidden", "needle\n");
    Put("etc/binary", std::string("needle\0needle", 13));
    Put("etc/b.txt", "needle in text\n");
    symlink("/etc/a.conf", (layer_ + "/etc/link").c_str());
  }
  void Put(const std::string& name, const std::string& content) {
    std::ofstream(absl::StrCat(layer_, "/", name), std::ios::binary) << content;
  }
  absl::StatusOr<SearchResult> Find(SearchQuery query) {
    auto reader = ImageReader::Open({layer_}, NewTestDirectory());
    EXPECT_OK(reader);
    if (query.paths.empty()) query.paths = {"/"};
    return SearchImage(*reader, query);
  }
  // "path:number", with a "-" for context.
  std::vector<std::string> Places(const SearchQuery& query) {
    std::vector<std::string> places;
    const auto result = Find(query);
    EXPECT_OK(result);
    if (!result.ok()) return places;
    for (const SearchLine& line : result->lines) {
      places.push_back(absl::StrCat(line.path, line.is_context ? "-" : ":", line.line_number));
    }
    return places;
  }

  const std::string layer_;
};

TEST_F(SearchImageTest, FindsLinesWithTheirPlaces) {
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Find({.patterns = {"need(le)"}}));
  ASSERT_EQ(result.lines.size(), 3);
  EXPECT_FALSE(result.truncated);
  const SearchLine& line = result.lines[0];
  EXPECT_EQ(line.path, "etc/a.conf");
  EXPECT_EQ(line.line_number, 4);
  EXPECT_EQ(line.absolute_offset, 21);
  EXPECT_EQ(line.text, "four needle needle\n");
  ASSERT_EQ(line.submatches.size(), 2);
  EXPECT_EQ(line.submatches[1].start, 12);
  EXPECT_EQ(line.submatches[1].end, 18);
  EXPECT_EQ(line.submatches[1].text, "needle");
  EXPECT_EQ(result.lines[1].path, "etc/b.txt");
  EXPECT_EQ(result.lines[2].path, "etc/sub/.hidden");
}

TEST_F(SearchImageTest, LettersMatterAsAsked) {
  EXPECT_EQ(Places({.patterns = {"needle"}, .letters = SearchCase::kInsensitive}).size(), 4);
  EXPECT_EQ(Places({.patterns = {"needle"}, .letters = SearchCase::kSmart}).size(), 4);
  EXPECT_EQ(Places({.patterns = {"Needle"}, .letters = SearchCase::kSmart}).size(), 1);
  EXPECT_EQ(Places({.patterns = {"needle\\W"}, .letters = SearchCase::kSmart}).size(), 2);
}

TEST_F(SearchImageTest, ContextComesOnceAndInOrder) {
  EXPECT_THAT(
      Places({.patterns = {"Needle|five"}, .paths = {"/etc/a.conf"}, .before = 2, .after = 1}),
      ElementsAre("etc/a.conf-1", "etc/a.conf:2", "etc/a.conf-3", "etc/a.conf-4", "etc/a.conf:5"));
  EXPECT_THAT(Places({.patterns = {"one"}, .paths = {"/etc/a.conf"}, .before = 5, .after = 1}),
              ElementsAre("etc/a.conf:1", "etc/a.conf-2"));
}

TEST_F(SearchImageTest, GlobsChooseFiles) {
  EXPECT_THAT(Places({.patterns = {"needle"}, .globs = {"*.txt"}}), ElementsAre("etc/b.txt:1"));
  EXPECT_THAT(Places({.patterns = {"needle"}, .globs = {"!*.conf", "!.hidden"}}),
              ElementsAre("etc/b.txt:1"));
  EXPECT_THAT(Places({.patterns = {"needle"}, .globs = {"etc/sub/*"}}),
              ElementsAre("etc/sub/.hidden:1"));
  EXPECT_THAT(Places({.patterns = {"needle"}, .globs = {"**/.hid*"}}),
              ElementsAre("etc/sub/.hidden:1"));
}

TEST_F(SearchImageTest, BoundsEndTheSearch) {
  ASSERT_OK_AND_ASSIGN(const SearchResult total, Find({.patterns = {"."}, .max_total = 2}));
  EXPECT_EQ(total.lines.size(), 2);
  EXPECT_TRUE(total.truncated);
  EXPECT_THAT(Places({.patterns = {"."}, .paths = {"/etc/a.conf"}, .max_count = 1}),
              ElementsAre("etc/a.conf:1"));
  ASSERT_OK_AND_ASSIGN(const SearchResult late,
                       Find({.patterns = {"."}, .deadline = absl::Now() - absl::Seconds(1)}));
  EXPECT_TRUE(late.truncated);
  EXPECT_THAT(late.lines, IsEmpty());
}

TEST_F(SearchImageTest, AnchorsAndLineFeedsBelongToLines) {
  EXPECT_THAT(Places({.patterns = {"^three$"}}), ElementsAre("etc/a.conf:3"));
  EXPECT_THAT(Places({.patterns = {"three\\s+four"}}), IsEmpty());
  EXPECT_THAT(Places({.patterns = {"\\s+needle"}, .paths = {"/etc/a.conf"}}),
              ElementsAre("etc/a.conf:4"));
  EXPECT_EQ(Places({.patterns = {""}, .paths = {"/etc/a.conf"}}).size(), 5);
}

TEST_F(SearchImageTest, TakesRustsNamedGroups) {
  EXPECT_THAT(Places({.patterns = {"(?<word>th)ree"}}), ElementsAre("etc/a.conf:3"));
}

TEST_F(SearchImageTest, SaysWhatIsWrong) {
  EXPECT_THAT(Find({.patterns = {"("}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("the pattern (")));
  EXPECT_THAT(Find({.patterns = {"x"}, .paths = {"/etc", "/none"}}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
}

}  // namespace
}  // namespace contree
