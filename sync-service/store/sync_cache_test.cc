#include "sync-service/store/sync_cache.h"

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);
const SyncScope kScope = {.tenant = "t", .platform = "p"};
const SyncScope kOther = {.tenant = "u", .platform = "p"};

std::string Hash(char c) { return std::string(32, c); }

class SyncCacheTest : public testing::Test {
 protected:
  SyncCacheTest() { Open(kNow); }
  void Open(absl::Time now) {
    cache_.reset();
    auto cache = SyncCache::Open(temp_.File("sync-cache.db"), now);
    EXPECT_OK(cache);
    cache_ = *std::move(cache);
  }
  TreeSource Source(const std::string& name = "s", const std::string& view = "",
                    const SyncScope& scope = kScope, absl::Time now = kNow) {
    const auto source = cache_->OpenSource(scope, name, view, now);
    EXPECT_OK(source);
    return *source;
  }
  void Store(const TreeSource& source, const std::vector<std::string>& paths,
             const std::vector<std::string>& gone = {}, absl::Time now = kNow) {
    SyncCache::Findings findings = {.directories = {},
                                    .gone = gone,
                                    .destination = "/work",
                                    .tree = {.digest = Hash('t'),
                                             .state = absl::StrCat("ds_", source.id),
                                             .epoch = source.epoch,
                                             .has_young = true}};
    for (const std::string& path : paths) {
      findings.directories.push_back(
          {{.path = path,
            .digest = Hash('d'),
            .content = Hash('c'),
            .files = 3,
            .bytes = 5,
            .epoch = source.epoch,
            .has_young = true},
           {.listing = absl::StrCat("listing of ", path), .sha256s = Hash('h')}});
    }
    EXPECT_OK(cache_->Store(source, findings, now));
  }
  std::vector<std::string> Paths(const TreeSource& source) {
    const auto directories = cache_->ListDirectories(source);
    EXPECT_OK(directories);
    std::vector<std::string> paths;
    for (const KnownDirectory& directory : *directories) paths.push_back(directory.path);
    return paths;
  }

  TempDirectory temp_;
  std::unique_ptr<SyncCache> cache_;
};

TEST_F(SyncCacheTest, GivesBackWhatWasStoredAlsoAfterARestart) {
  Store(Source(), {"b", "", "a/x", "a"});
  Open(kNow);
  const TreeSource source = Source();
  EXPECT_THAT(Paths(source), ElementsAre("", "a", "a/x", "b"));
  ASSERT_OK_AND_ASSIGN(const auto directories, cache_->ListDirectories(source));
  const KnownDirectory& directory = directories[1];
  EXPECT_EQ(directory.digest, Hash('d'));
  EXPECT_EQ(directory.content, Hash('c'));
  EXPECT_EQ(directory.files, 3);
  EXPECT_EQ(directory.bytes, 5);
  EXPECT_TRUE(directory.has_young);
  ASSERT_OK_AND_ASSIGN(const auto files, cache_->FindFiles(source, "a/x"));
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].listing, "listing of a/x");
  EXPECT_EQ(files[0].sha256s, Hash('h'));
  EXPECT_EQ(files[0].digest, Hash('d'));
  ASSERT_OK_AND_ASSIGN(const auto tree, cache_->FindTree(source, "/work"));
  ASSERT_TRUE(tree.has_value());
  EXPECT_EQ(tree->digest, Hash('t'));
  EXPECT_TRUE(tree->has_young);
  ASSERT_OK_AND_ASSIGN(const auto elsewhere, cache_->FindTree(source, "/other"));
  EXPECT_FALSE(elsewhere.has_value());
}

TEST_F(SyncCacheTest, WhatIsGoneGoes) {
  const TreeSource source = Source();
  Store(source, {"a", "b", "c"});
  Store(source, {"b"}, {"a", "c"});
  EXPECT_THAT(Paths(source), ElementsAre("b"));
  ASSERT_OK_AND_ASSIGN(const auto files, cache_->FindFiles(source, "a"));
  EXPECT_THAT(files, IsEmpty());
}

TEST_F(SyncCacheTest, ViewsSeeEachOthersFilesAndSourcesDoNot) {
  const TreeSource own = Source("s", "v1");
  const TreeSource view = Source("s", "v2");
  Store(own, {"a"});
  Store(view, {"a"});
  Store(Source("other"), {"a"});
  Store(Source("s", "v1", kOther), {"a"});
  ASSERT_OK_AND_ASSIGN(const auto files, cache_->FindFiles(view, "a"));
  EXPECT_EQ(files.size(), 2U);
  ASSERT_OK_AND_ASSIGN(const auto last, cache_->FindLastState(own, "/work"));
  EXPECT_TRUE(last == absl::StrCat("ds_", own.id) || last == absl::StrCat("ds_", view.id));
  Store(own, {"a"}, {}, kNow + absl::Seconds(1));
  ASSERT_OK_AND_ASSIGN(const auto newest, cache_->FindLastState(view, "/work"));
  EXPECT_EQ(newest, absl::StrCat("ds_", own.id));
}

TEST_F(SyncCacheTest, BlobsAreKnownByTenantAndPlatform) {
  ASSERT_OK(cache_->PutBlobs(kScope, {{Hash('a'), "uuid a"}, {Hash('b'), "uuid b"}}, kNow));
  ASSERT_OK_AND_ASSIGN(const auto found,
                       cache_->FindBlobs(kScope, {Hash('b'), Hash('x'), Hash('a')}));
  EXPECT_THAT(found, ElementsAre("uuid b", "", "uuid a"));
  ASSERT_OK_AND_ASSIGN(const auto others, cache_->FindBlobs(kOther, {Hash('a')}));
  EXPECT_THAT(others, ElementsAre(""));
}

TEST_F(SyncCacheTest, ForgettingBlobsBeginsAnEpoch) {
  EXPECT_EQ(Source().epoch, 0);
  ASSERT_OK(cache_->PutBlobs(kScope, {{Hash('a'), "a"}, {Hash('b'), "b"}}, kNow));
  EXPECT_EQ(Source().epoch, 0);
  ASSERT_OK(cache_->ForgetBlobs(kScope, {Hash('a'), Hash('x')}));
  EXPECT_EQ(Source().epoch, 1);
  EXPECT_EQ(Source("s", "", kOther).epoch, 0);
  ASSERT_OK_AND_ASSIGN(const auto found, cache_->FindBlobs(kScope, {Hash('a'), Hash('b')}));
  EXPECT_THAT(found, ElementsAre("", "b"));
}

TEST_F(SyncCacheTest, BlobsThatWereNotSeenForSixtyDaysAreForgotten) {
  ASSERT_OK(cache_->PutBlobs(kScope, {{Hash('a'), "a"}, {Hash('b'), "b"}}, kNow));
  ASSERT_OK(cache_->PutBlobs(kScope, {{Hash('b'), "b"}}, kNow + absl::Hours(24 * 30)));
  Open(kNow + absl::Hours(24 * 61));
  ASSERT_OK_AND_ASSIGN(const auto found, cache_->FindBlobs(kScope, {Hash('a'), Hash('b')}));
  EXPECT_THAT(found, ElementsAre("", "b"));
  EXPECT_EQ(Source().epoch, 1);
}

TEST_F(SyncCacheTest, SourcesThatWereNotSyncedForNinetyDaysAreForgotten) {
  Store(Source("old"), {"a"});
  const TreeSource used = Source("used");
  Store(used, {"a"});
  Source("used", "", kScope, kNow + absl::Hours(24 * 60));
  Open(kNow + absl::Hours(24 * 91));
  EXPECT_THAT(Paths(used), ElementsAre("a"));
  const TreeSource again = Source("old");
  EXPECT_THAT(Paths(again), IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto tree, cache_->FindTree(again, "/work"));
  EXPECT_FALSE(tree.has_value());
}

TEST_F(SyncCacheTest, TheFileIsPrivateAndADamagedOneIsSetAside) {
  Store(Source(), {"a"});
  struct stat file = {};
  ASSERT_EQ(stat(temp_.File("sync-cache.db").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
  cache_.reset();
  std::ofstream(temp_.File("sync-cache.db"), std::ios::trunc) << std::string(10'000, 'x');
  Open(kNow);
  EXPECT_THAT(Paths(Source()), IsEmpty());
  EXPECT_EQ(stat(temp_.File("sync-cache.db.corrupt-1").c_str(), &file), 0);
}

TEST_F(SyncCacheTest, DamageThatShowsLaterIsSetAsideToo) {
  std::vector<std::string> paths;
  for (int i = 0; i < 2000; ++i) paths.push_back(absl::StrCat("directory ", i));
  Store(Source(), paths);
  cache_.reset();
  {
    // All pages but the first, which says what the file is.
    std::fstream file(temp_.File("sync-cache.db"), std::ios::in | std::ios::out | std::ios::ate);
    const auto size = static_cast<size_t>(file.tellp());
    ASSERT_GT(size, 100'000U);
    file.seekp(4096);
    file << std::string(size - 4096, '\xff');
  }
  Open(kNow);
  // Wherever it was found out, nothing is left of it and everything works.
  const TreeSource source = Source();
  EXPECT_THAT(Paths(source), IsEmpty());
  Store(source, {"a"});
  EXPECT_THAT(Paths(source), ElementsAre("a"));
  struct stat file = {};
  EXPECT_EQ(stat(temp_.File("sync-cache.db.corrupt-1").c_str(), &file), 0);
}

TEST_F(SyncCacheTest, ACallThatFindsDamageSaysToSyncAgain) {
  Store(Source(), {"a"});
  std::vector<std::string> paths;
  for (int i = 0; i < 2000; ++i) paths.push_back(absl::StrCat("directory ", i));
  const TreeSource source = Source();
  Store(source, paths);
  Open(kNow);  // nothing in memory, nothing in the write-ahead log
  {
    std::fstream file(temp_.File("sync-cache.db"), std::ios::in | std::ios::out | std::ios::ate);
    const auto size = static_cast<size_t>(file.tellp());
    file.seekp(4096);
    file << std::string(size - 4096, '\xff');
  }
  EXPECT_THAT(cache_->ListDirectories(source),
              StatusIs(absl::StatusCode::kUnavailable, testing::HasSubstr("sync again")));
  EXPECT_THAT(Paths(Source()), IsEmpty());
}

}  // namespace
}  // namespace contree
