#include "sync-service/store/directory_content.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

DirectoryContent Content(const std::vector<std::string>& names, char sha256 = 'h') {
  DirectoryContent content;
  for (const std::string& name : names) content.Add(name, 0644, std::string(32, sha256));
  return content;
}

TEST(DirectoryContentTest, GivesBackWhatWasAdded) {
  DirectoryContent content;
  content.Add("a", 07777, std::string(32, '\0'));
  content.Add("b c", 0600, std::string(32, 'x'));
  std::vector<std::string> seen;
  content.ForEach([&](absl::string_view name, uint32_t mode, absl::string_view sha256) {
    seen.push_back(std::string(name) + " " + std::to_string(mode) + " " + std::string(sha256));
  });
  EXPECT_THAT(seen, testing::ElementsAre("a 4095 " + std::string(32, '\0'),
                                         "b c 384 " + std::string(32, 'x')));
  EXPECT_EQ(content.size(), 2U);
  EXPECT_TRUE(content.IsWhole());
}

TEST(DirectoryContentTest, TheDigestCoversNamesModesAndHashes) {
  EXPECT_EQ(Content({"a", "b"}).Digest(), Content({"a", "b"}).Digest());
  EXPECT_EQ(Content({}).Digest().size(), 32U);
  EXPECT_NE(Content({"a", "b"}).Digest(), Content({"a"}).Digest());
  EXPECT_NE(Content({"a"}).Digest(), Content({"b"}).Digest());
  EXPECT_NE(Content({"a"}).Digest(), Content({"a"}, 'i').Digest());
  DirectoryContent executable;
  executable.Add("a", 0755, std::string(32, 'h'));
  EXPECT_NE(Content({"a"}).Digest(), executable.Digest());
}

TEST(DirectoryContentTest, DamagedColumnsAreNotWhole) {
  const DirectoryContent whole = Content({"a", "b"});
  EXPECT_FALSE(DirectoryContent("a", whole.modes(), whole.sha256s()).IsWhole());
  EXPECT_FALSE(DirectoryContent(whole.names(), "abc", whole.sha256s()).IsWhole());
  EXPECT_FALSE(DirectoryContent(whole.names(), whole.modes(), "short").IsWhole());
}

TEST(DirectoryContentTest, CountsWhatIsGone) {
  EXPECT_EQ(CountGone(Content({"a", "b", "d"}), Content({"b", "c", "e"})), 2);
  EXPECT_EQ(CountGone(Content({"a"}), Content({})), 1);
  EXPECT_EQ(CountGone(Content({}), Content({"a"})), 0);
  EXPECT_EQ(CountGone(Content({"a", "ab"}), Content({"a", "aa", "ab"})), 0);
}

TEST(DirectoryStateIdTest, SaysWhatGoesWhere) {
  const std::string content = Content({"a"}).Digest();
  const std::vector<StateDirectory> directories = {{.path = "d", .content = content}};
  const std::string id = DirectoryStateId("/work", directories);
  EXPECT_THAT(id, testing::MatchesRegex("ds_[0-9a-f]{32}"));
  EXPECT_EQ(DirectoryStateId("/work", directories), id);
  EXPECT_NE(DirectoryStateId("/other", directories), id);
  EXPECT_NE(DirectoryStateId("/work", {{.path = "e", .content = content}}), id);
  EXPECT_NE(DirectoryStateId("/work", {}), id);
}

}  // namespace
}  // namespace contree
