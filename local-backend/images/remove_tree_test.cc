#include "local-backend/images/remove_tree.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

TEST(RemoveTreeTest, RemovesEveryKindAndFollowsNoLink) {
  const TempDirectory directory;
  const std::string tree = directory.File("tree");
  const std::string kept = directory.File("kept");
  mkdir(kept.c_str(), 0755);
  std::ofstream(kept + "/file") << "x";
  mkdir(tree.c_str(), 0755);
  mkdir((tree + "/a").c_str(), 0000);
  mkdir((tree + "/b").c_str(), 0755);
  std::ofstream(tree + "/b/file") << "x";
  mkfifo((tree + "/b/pipe").c_str(), 0600);
  ASSERT_EQ(symlink(kept.c_str(), (tree + "/link").c_str()), 0);
  ASSERT_EQ(symlink("nowhere", (tree + "/b/dangling").c_str()), 0);
  ASSERT_OK(RemoveTree(tree));
  EXPECT_NE(access(tree.c_str(), F_OK), 0);
  EXPECT_EQ(access((kept + "/file").c_str(), F_OK), 0);
  EXPECT_OK(RemoveTree(tree));
}

// `for i in $(seq 3000); do mkdir d; cd d; done` in a sandbox makes such a tree.
TEST(RemoveTreeTest, DepthNeedsFewDescriptors) {
  const TempDirectory directory;
  const std::string tree = directory.File("tree");
  mkdir(tree.c_str(), 0755);
  UniqueFd at(open(tree.c_str(), O_RDONLY | O_DIRECTORY));
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(mkdirat(at.get(), "d", 0755), 0);
    ASSERT_EQ(mkdirat(at.get(), "deep-1", 0755), 0);  // a name that the removal uses too
    at.Reset(openat(at.get(), "d", O_RDONLY | O_DIRECTORY));
  }
  at.Reset();
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {128, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const absl::Status removed = RemoveTree(tree);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_OK(removed);
  EXPECT_NE(access(tree.c_str(), F_OK), 0);
}

TEST(RemoveTreeTest, FileIsNoTree) {
  const TempDirectory directory;
  std::ofstream(directory.File("file")) << "x";
  EXPECT_THAT(RemoveTree(directory.File("file")), testing::Not(IsOk()));
  EXPECT_EQ(access(directory.File("file").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace contree
