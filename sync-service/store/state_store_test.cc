#include "sync-service/store/state_store.h"

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);
const SyncScope kScope = {.tenant = "t", .platform = "p"};

std::unique_ptr<StateStore> OpenIn(const TempDirectory& temp, absl::Time now = kNow) {
  auto store = StateStore::Open(temp.File("sync.db"), now);
  EXPECT_OK(store);
  return *std::move(store);
}

DirectoryContent Content(const std::string& name) {
  DirectoryContent content;
  content.Add(name, 0644, std::string(32, 'h'));
  return content;
}

// A state with a directory for each name, in each of which is a file of that name.
struct Made {
  std::string id;
  DirectoryState state;
  std::vector<DirectoryContent> contents;
};
Made Make(const std::vector<std::string>& names, const std::string& destination = "/work") {
  Made made;
  made.state = {.destination = destination,
                .files = static_cast<int64_t>(names.size()),
                .bytes = 7,
                .directories = {}};
  for (const std::string& name : names) {
    made.contents.push_back(Content(name));
    made.state.directories.push_back({.path = name, .content = made.contents.back().Digest()});
  }
  made.id = DirectoryStateId(destination, made.state.directories);
  return made;
}

// Returns which contents were asked for.
std::vector<size_t> Put(StateStore& store, const Made& made, absl::Time now = kNow,
                        const SyncScope& scope = kScope) {
  std::vector<size_t> asked;
  EXPECT_OK(store.Put(
      scope, made.id, made.state,
      [&](size_t index) {
        asked.push_back(index);
        return made.contents[index];
      },
      now));
  return asked;
}

std::vector<std::string> NamesOf(StateStore& store, const Made& made) {
  std::vector<std::string> digests;
  for (const StateDirectory& directory : made.state.directories)
    digests.push_back(directory.content);
  std::vector<std::string> names;
  EXPECT_OK(store.ReadContents(kScope, digests, [&](size_t index, const DirectoryContent& content) {
    content.ForEach([&](absl::string_view name, uint32_t, absl::string_view) {
      names.push_back(absl::StrCat(index, name));
    });
    return absl::OkStatus();
  }));
  return names;
}

TEST(StateStoreTest, AStateSurvivesARestartWhole) {
  TempDirectory temp;
  const Made made = Make({"a", "b"});
  EXPECT_THAT(Put(*OpenIn(temp), made), ElementsAre(0, 1));
  const auto store = OpenIn(temp);
  ASSERT_OK_AND_ASSIGN(const auto found, store->Find(kScope, made.id, kNow));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->destination, "/work");
  EXPECT_EQ(found->files, 2);
  EXPECT_EQ(found->bytes, 7);
  ASSERT_EQ(found->directories.size(), 2U);
  EXPECT_EQ(found->directories[1].path, "b");
  EXPECT_EQ(found->directories[1].content, made.contents[1].Digest());
  EXPECT_THAT(NamesOf(*store, made), ElementsAre("0a", "1b"));
  ASSERT_OK_AND_ASSIGN(const auto summary, store->FindSummary(kScope, made.id, kNow));
  EXPECT_EQ(summary->files, 2);
}

TEST(StateStoreTest, TheEmptyStateAndTheRootDirectory) {
  TempDirectory temp;
  const auto store = OpenIn(temp);
  for (const Made& made : {Make({}), Make({""})}) {
    Put(*store, made);
    ASSERT_OK_AND_ASSIGN(const auto found, store->Find(kScope, made.id, kNow));
    EXPECT_EQ(found->directories.size(), made.state.directories.size());
  }
}

TEST(StateStoreTest, ContentsAreStoredOnceAndAskedForOnce) {
  TempDirectory temp;
  const auto store = OpenIn(temp);
  EXPECT_THAT(Put(*store, Make({"a", "b"})), ElementsAre(0, 1));
  EXPECT_THAT(Put(*store, Make({"a", "b", "c"})), ElementsAre(2));
  EXPECT_THAT(Put(*store, Make({"a", "b", "c"})), ElementsAre());
  EXPECT_THAT(Put(*store, Make({"a", "b"}, "/elsewhere")), ElementsAre());
}

TEST(StateStoreTest, AContentThatCannotBeHadStoresNothing) {
  TempDirectory temp;
  const auto store = OpenIn(temp);
  const Made made = Make({"a", "b"});
  EXPECT_THAT(store->Put(
                  kScope, made.id, made.state,
                  [&](size_t index) -> absl::StatusOr<DirectoryContent> {
                    if (index == 1) return absl::AbortedError("gone");
                    return made.contents[index];
                  },
                  kNow),
              StatusIs(absl::StatusCode::kAborted, "gone"));
  ASSERT_OK_AND_ASSIGN(const auto found, store->Find(kScope, made.id, kNow));
  EXPECT_FALSE(found.has_value());
  EXPECT_THAT(NamesOf(*store, made), ElementsAre());
}

TEST(StateStoreTest, AnotherTenantOrPlatformSeesNothing) {
  TempDirectory temp;
  const auto store = OpenIn(temp);
  const Made made = Make({"a"});
  Put(*store, made);
  for (const SyncScope& other :
       {SyncScope{.tenant = "u", .platform = "p"}, SyncScope{.tenant = "t", .platform = "q"}}) {
    ASSERT_OK_AND_ASSIGN(const auto found, store->Find(other, made.id, kNow));
    EXPECT_FALSE(found.has_value());
    EXPECT_OK(store->ReadContents(other, {made.contents[0].Digest()},
                                  [](size_t, const DirectoryContent&) {
                                    ADD_FAILURE() << "another's content";
                                    return absl::OkStatus();
                                  }));
    EXPECT_THAT(Put(*store, made, kNow, other), ElementsAre(0));
  }
}

TEST(StateStoreTest, WhatNobodyUsesIsDroppedAfterThirtyDays) {
  TempDirectory temp;
  const auto store = OpenIn(temp);
  const Made used = Make({"a", "both"});
  const Made unused = Make({"b", "both"});
  Put(*store, used);
  Put(*store, unused);
  const absl::Time later = kNow + absl::Hours(24 * 20);
  ASSERT_OK(store->Find(kScope, used.id, later));
  ASSERT_OK(store->DropOld(kNow + absl::Hours(24 * 31)));
  ASSERT_OK_AND_ASSIGN(const auto kept, store->FindSummary(kScope, used.id, later));
  EXPECT_TRUE(kept.has_value());
  ASSERT_OK_AND_ASSIGN(const auto dropped, store->FindSummary(kScope, unused.id, later));
  EXPECT_FALSE(dropped.has_value());
  EXPECT_THAT(NamesOf(*store, used), ElementsAre("0a", "1both"));
  EXPECT_THAT(NamesOf(*store, unused), ElementsAre("1both"));
}

TEST(StateStoreTest, TooManyBytesOfStatesPushOutTheOldest) {
  TempDirectory temp;
  ASSERT_OK_AND_ASSIGN(const auto store, StateStore::Open(temp.File("sync.db"), kNow, 6500));
  // Each row takes 1033 bytes.
  std::vector<std::string> ids;
  for (int i = 0; i < 8; ++i) {
    Made made = Make({});
    made.state.directories.push_back({.path = std::string(1000, static_cast<char>('a' + i)),
                                      .content = std::string(32, static_cast<char>('a' + i))});
    ids.push_back(absl::StrCat("ds_", i));
    ASSERT_OK(store->Put(
        kScope, ids.back(), made.state, [](size_t) { return Content("x"); },
        kNow + absl::Hours(i)));
  }
  // Not as long as they are used.
  ASSERT_OK(store->DropOld(kNow + absl::Hours(20)));
  const auto count = [&] {
    int found = 0;
    for (const std::string& id : ids) {
      const auto summary = store->FindSummary(kScope, id, kNow);
      EXPECT_OK(summary);
      found += summary->has_value() ? 1 : 0;
    }
    return found;
  };
  EXPECT_EQ(count(), 8);
  ASSERT_OK(store->DropOld(kNow + absl::Hours(48)));
  EXPECT_EQ(count(), 6);
  ASSERT_OK_AND_ASSIGN(const auto oldest, store->FindSummary(kScope, ids[0], kNow));
  EXPECT_FALSE(oldest.has_value());
}

TEST(StateStoreTest, TheFileIsPrivateAndADamagedOneIsRefused) {
  TempDirectory temp;
  OpenIn(temp);
  struct stat file = {};
  ASSERT_EQ(stat(temp.File("sync.db").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
  std::ofstream(temp.File("sync.db"), std::ios::trunc) << std::string(10'000, 'x');
  EXPECT_THAT(StateStore::Open(temp.File("sync.db"), kNow),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is damaged")));
}

}  // namespace
}  // namespace contree
