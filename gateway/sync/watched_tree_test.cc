#include "gateway/sync/watched_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gateway/sync/synced_trees.h"
#include "gmock/gmock.h"

namespace contree::gateway {
namespace {

using testing::ElementsAre;

void WriteFile(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << content;
}

// Makes the files old enough to be trusted by their stat, without sleeping: their ctime cannot be
// set, so the test waits for the clock where it has to.
void WaitUntilOld(const std::string& path) {
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  const absl::Time changed = absl::TimeFromTimespec(info.st_ctim);
  while (absl::Now() < changed + absl::Milliseconds(110)) absl::SleepFor(absl::Milliseconds(5));
}

class WatchedTreeTest : public testing::Test {
 protected:
  WatchedTreeTest() {
    WriteFile(File("a.txt"), "a");
    WriteFile(File("sub/b.txt"), "b");
    WriteFile(File("sub/deep/c.txt"), "c");
    tree_ = NewTree({});
  }

  std::string File(const std::string& name) const { return directory_.File("tree/" + name); }

  std::shared_ptr<const TreeRoot> Root() {
    const Workspace user = Workspace::OfUser();
    absl::StatusOr<HostSource> source = user.OpenSource(directory_.File("tree"));
    EXPECT_OK(source);
    return *TreeRoot::Of(*std::move(source));
  }
  std::unique_ptr<WatchedTree> NewTree(const std::vector<std::string>& excludes,
                                       int max_watches = 1000) {
    return std::make_unique<WatchedTree>(Root(), *IgnorePatterns::Parse(excludes), max_watches);
  }
  TreeLook Look() { return LookAt(*tree_); }
  static TreeLook LookAt(WatchedTree& tree) {
    absl::StatusOr<TreeLook> look = tree.Look({});
    EXPECT_OK(look);
    return look.ok() ? *look : TreeLook{};
  }
  static std::map<std::string, FileRow> Rows(const Tree& tree) {
    std::map<std::string, FileRow> rows;
    for (const auto& directory : tree.directories) {
      const auto names = directory->Names();
      for (size_t i = 0; i < names.size(); ++i) {
        rows[JoinTreePath(directory->path, names[i])] = directory->Row(static_cast<int>(i));
      }
    }
    return rows;
  }
  static std::vector<std::string> Paths(const Tree& tree) {
    std::vector<std::string> paths;
    for (const auto& [path, row] : Rows(tree)) paths.push_back(path);
    return paths;
  }
  // The look tells the same as a fresh walk does.
  void ExpectAsWalked(const Tree& tree) {
    const TreeLook walked = LookAt(*NewTree({}, /*max_watches=*/0));
    const auto expected = Rows(*walked.tree);
    const auto rows = Rows(tree);
    ASSERT_EQ(Paths(tree), Paths(*walked.tree));
    for (const auto& [path, row] : expected) EXPECT_TRUE(row.HasStatOf(rows.at(path))) << path;
    EXPECT_EQ(tree.omissions.count(Omission::kEmptyDirectory),
              walked.tree->omissions.count(Omission::kEmptyDirectory));
    EXPECT_EQ(tree.bytes, walked.tree->bytes);
  }

  TempDirectory directory_;
  std::unique_ptr<WatchedTree> tree_;
};

TEST_F(WatchedTreeTest, AnUnchangedTreeIsNotWalkedAgain) {
  const TreeLook first = Look();
  EXPECT_TRUE(first.is_walked);
  EXPECT_FALSE(first.is_watched);
  tree_->Settle(first);
  const TreeLook second = Look();
  EXPECT_FALSE(second.is_walked);
  EXPECT_TRUE(second.is_watched);
  EXPECT_EQ(second.tree, first.tree);
}

TEST_F(WatchedTreeTest, WithoutSettlingNothingIsTakenForWatched) {
  Look();
  const TreeLook second = Look();
  EXPECT_FALSE(second.is_walked);
  EXPECT_FALSE(second.is_watched);
}

TEST_F(WatchedTreeTest, EachKindOfChangeIsSeenWithoutAWalk) {
  tree_->Settle(Look());
  const std::vector<std::function<void()>> changes = {
      [&] { std::ofstream(File("a.txt"), std::ios::app) << "more"; },
      [&] { WriteFile(File("new.txt"), "new"); },
      [&] { std::filesystem::remove(File("sub/b.txt")); },
      [&] { chmod(File("a.txt").c_str(), 0755); },
      [&] { std::filesystem::rename(File("new.txt"), File("sub/moved.txt")); },
      [&] { WriteFile(File("fresh/x/y/z.txt"), "z"); },
      [&] { std::filesystem::rename(File("sub"), File("fresh/sub")); },
      [&] { WriteFile(File("fresh/sub/deep/after.txt"), "seen below the new name"); },
      [&] { std::filesystem::remove_all(File("fresh/x")); },
      [&] {
        std::filesystem::remove_all(File("fresh/sub/deep"));
        WriteFile(File("fresh/sub/deep/other.txt"), "the same name, another directory");
      },
      [&] { WriteFile(File("fresh/sub/deep/other2.txt"), "x"); },
      [&] { std::filesystem::create_directories(File("empty/one")); },
      [&] { std::filesystem::rename(File("fresh"), directory_.File("outside")); },
      [&] { WriteFile(directory_.File("outside/unseen"), "x"); },
      [&] { std::filesystem::rename(directory_.File("outside"), File("back")); },
      [&] { WriteFile(File("back/sub/deep/in_again.txt"), "x"); },
      [&] {
        const UniqueFd fd(open(File("a.txt").c_str(), O_WRONLY));
        EXPECT_EQ(write(fd.get(), "written, not closed", 19), 19);
        ExpectAsWalked(*Look().tree);
      },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    changes[i]();
    const TreeLook look = Look();
    EXPECT_FALSE(look.is_walked);
    ExpectAsWalked(*look.tree);
    tree_->Settle(look);
    EXPECT_TRUE(Look().is_watched);
  }
}

TEST_F(WatchedTreeTest, AChangeThatTheStatDoesNotShowIsNotTakenForNone) {
  // Written, looked at, settled, and written again within the same tick of the file system's clock.
  // Whether the kernel gives the second change another ctime is its affair: the look must never say
  // that nothing happened.
  for (int i = 0; i < 20; ++i) {
    std::ofstream(File("a.txt")) << "1" << i;
    const TreeLook before = Look();
    tree_->Settle(before);
    std::ofstream(File("a.txt")) << "2" << i;
    const TreeLook after = Look();
    EXPECT_FALSE(after.is_watched);
    // Until its content was looked at by a sync that did not trust the stat.
    EXPECT_FALSE(Look().is_watched);
    tree_->Settle(after);
    EXPECT_TRUE(Look().is_watched);
  }
}

TEST_F(WatchedTreeTest, ASyncThatBeganBeforeADoubtDoesNotRemoveIt) {
  WriteFile(File("a.txt"), "1");
  const TreeLook before = Look();
  tree_->Settle(before);
  WriteFile(File("a.txt"), "2");
  const TreeLook doubtful = Look();
  tree_->Settle(before);
  EXPECT_FALSE(Look().is_watched);
  tree_->Settle(doubtful);
  EXPECT_TRUE(Look().is_watched);
}

TEST_F(WatchedTreeTest, WhatWasYoungIsOldOnceSomethingElseChanges) {
  const TreeLook first = Look();
  EXPECT_TRUE(Rows(*first.tree).at("sub/b.txt").is_young);
  tree_->Settle(first);
  WaitUntilOld(File("sub/b.txt"));
  // While nothing changes, the digest stays what it was.
  EXPECT_EQ(Look().tree->digest, first.tree->digest);
  WriteFile(File("a.txt"), "changed");
  EXPECT_FALSE(Rows(*Look().tree).at("sub/b.txt").is_young);
}

TEST_F(WatchedTreeTest, AHardLinkThatIsChangedOutsideIsSeen) {
  std::filesystem::create_hard_link(File("a.txt"), directory_.File("outside"));
  tree_->Settle(Look());
  std::ofstream(directory_.File("outside"), std::ios::app) << "by its other name";
  const TreeLook look = Look();
  EXPECT_FALSE(look.is_walked);
  EXPECT_FALSE(look.is_watched);
  ExpectAsWalked(*look.tree);
  EXPECT_EQ(Rows(*look.tree).at("a.txt").size, 18);
}

TEST_F(WatchedTreeTest, AFileBehindALinkThatIsChangedIsSeen) {
  std::filesystem::create_symlink("sub/deep/c.txt", File("link"));
  tree_ = NewTree({"deep/"});
  tree_->Settle(Look());
  // In a directory that is excluded and so not watched.
  std::ofstream(File("sub/deep/c.txt"), std::ios::app) << "more";
  EXPECT_EQ(Rows(*Look().tree).at("link").size, 5);
}

TEST_F(WatchedTreeTest, ExcludedDirectoriesAreNotWatched) {
  WriteFile(File("node_modules/x/y/z"), "x");
  tree_ = NewTree({"node_modules/"});
  const TreeLook first = Look();
  tree_->Settle(first);
  EXPECT_EQ(tree_->watches(), 3);  // "", "sub", "sub/deep"
  WriteFile(File("node_modules/x/more"), "x");
  const TreeLook second = Look();
  EXPECT_TRUE(second.is_watched);
  EXPECT_EQ(second.tree->digest, first.tree->digest);
}

TEST_F(WatchedTreeTest, MoreDirectoriesThanWatchesAreWalkedEachTime) {
  tree_ = NewTree({}, /*max_watches=*/2);
  for (int i = 0; i < 3; ++i) {
    const TreeLook look = Look();
    EXPECT_TRUE(look.is_walked);
    EXPECT_FALSE(look.is_watched);
    tree_->Settle(look);
    EXPECT_EQ(tree_->watches(), 0);
    WriteFile(File("sub/new" + std::to_string(i)), "x");
    ExpectAsWalked(*Look().tree);
  }
}

TEST_F(WatchedTreeTest, NewDirectoriesBeyondTheWatchesMakeItWalk) {
  tree_ = NewTree({}, /*max_watches=*/4);
  tree_->Settle(Look());
  WriteFile(File("one/x"), "x");
  const TreeLook look = Look();
  EXPECT_FALSE(look.is_walked);
  WriteFile(File("two/x"), "x");
  const TreeLook more = Look();
  EXPECT_TRUE(more.is_walked);
  ExpectAsWalked(*more.tree);
}

TEST_F(WatchedTreeTest, LostEventsMakeItWalk) {
  tree_->Settle(Look());
  std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
  int queued = 0;
  limit >> queued;
  ASSERT_GT(queued, 0);
  const UniqueFd a(open(File("a.txt").c_str(), O_WRONLY));
  const UniqueFd b(open(File("sub/b.txt").c_str(), O_WRONLY));
  // Alternating, so that they are not merged.
  for (int i = 0; i < queued / 2 + 10; ++i) {
    ASSERT_EQ(pwrite(a.get(), "x", 1, 0), 1);
    ASSERT_EQ(pwrite(b.get(), "x", 1, 0), 1);
  }
  WriteFile(File("sub/deep/unheard"), "x");
  const TreeLook look = Look();
  EXPECT_TRUE(look.is_walked);
  EXPECT_FALSE(look.is_watched);
  ExpectAsWalked(*look.tree);
  tree_->Settle(look);
  EXPECT_TRUE(Look().is_watched);  // and is watched again
}

TEST_F(WatchedTreeTest, ARootThatMovedIsAnotherTree) {
  SyncedTrees trees(/*is_watching=*/true);
  const auto first = trees.Find("t", Root(), {});
  EXPECT_EQ(trees.Find("t", Root(), {}), first);
  EXPECT_NE(trees.Find("another", Root(), {}), first);
  EXPECT_NE(trees.Find("t", Root(), *IgnorePatterns::Parse(std::vector<std::string>{"x"})), first);
  first->Settle(LookAt(*first));
  std::filesystem::rename(directory_.File("tree"), directory_.File("moved"));
  WriteFile(File("other.txt"), "another directory under the old name");
  const auto second = trees.Find("t", Root(), {});
  EXPECT_NE(second, first);
  EXPECT_THAT(Paths(*LookAt(*second).tree), ElementsAre("other.txt"));
  // Whoever still has the first one sees what he opened.
  const TreeLook old = LookAt(*first);
  EXPECT_TRUE(old.is_walked);
  EXPECT_FALSE(old.is_watched);
}

TEST_F(WatchedTreeTest, WithoutWatchingEachLookWalks) {
  SyncedTrees trees(/*is_watching=*/false);
  const auto tree = trees.Find("t", Root(), {});
  tree->Settle(LookAt(*tree));
  EXPECT_TRUE(LookAt(*tree).is_walked);
  EXPECT_EQ(tree->watches(), 0);
}

TEST_F(WatchedTreeTest, WhateverIsDoneToATreeAWatchSeesWhatAWalkSees) {
  // Threads that make, change, move and remove while others look; at the end all have to agree.
  std::atomic<bool> stop = false;
  std::vector<std::thread> workers;
  for (int worker = 0; worker < 2; ++worker) {
    workers.emplace_back([&, worker] {
      std::mt19937 random(static_cast<unsigned>(worker));
      const auto some = [&] {
        std::string path;
        const int depth = 1 + static_cast<int>(random() % 3);
        for (int i = 0; i < depth; ++i) path += "/d" + std::to_string(random() % 4);
        return File("w" + path);
      };
      std::error_code ignored;
      for (int i = 0; i < 400; ++i) {
        switch (random() % 5) {
          case 0:
            std::filesystem::remove_all(some(), ignored);
            break;
          case 1:
            std::filesystem::rename(some(), some(), ignored);
            break;
          default:
            std::filesystem::create_directories(some(), ignored);
            std::ofstream(some() + "/f" + std::to_string(random() % 3)) << i;
        }
      }
    });
  }
  std::thread looker([&] {
    while (!stop) tree_->Settle(Look());
  });
  for (std::thread& worker : workers) worker.join();
  stop = true;
  looker.join();
  const TreeLook look = Look();
  EXPECT_FALSE(look.is_walked);
  ExpectAsWalked(*look.tree);
}

}  // namespace
}  // namespace contree::gateway
