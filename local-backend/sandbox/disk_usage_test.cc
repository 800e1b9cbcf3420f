#include "local-backend/sandbox/disk_usage.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "common/testing/temp_directory.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

constexpr int64_t kPlenty = 1 << 30;

void WriteFile(const std::string& path, size_t size) {
  std::ofstream(path) << std::string(size, 'x');
}

TEST(DiskUsageTest, CountsFilesAtEveryDepth) {
  const TempDirectory directory;
  WriteFile(directory.File("a"), 100'000);
  mkdir(directory.File("d").c_str(), 0755);
  mkdir(directory.File("d/e").c_str(), 0755);
  WriteFile(directory.File("d/e/b"), 200'000);
  WriteFile(directory.File("z"), 50'000);
  EXPECT_GE(DiskUsage(directory.path(), kPlenty), 350'000);
  EXPECT_LE(DiskUsage(directory.path(), kPlenty), 450'000);
}

TEST(DiskUsageTest, CountsAFileOnceHoweverManyNamesItHas) {
  const TempDirectory directory;
  WriteFile(directory.File("a"), 500'000);
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(link(directory.File("a").c_str(), directory.File(absl::StrCat("l", i)).c_str()), 0);
  }
  EXPECT_LE(DiskUsage(directory.path(), kPlenty), 600'000);
}

TEST(DiskUsageTest, HolesTakeNoSpaceAndLinksLeadNowhere) {
  const TempDirectory directory;
  WriteFile(directory.File("sparse"), 0);
  ASSERT_EQ(truncate(directory.File("sparse").c_str(), 1 << 29), 0);
  ASSERT_EQ(symlink("/usr", directory.File("usr").c_str()), 0);
  EXPECT_LE(DiskUsage(directory.path(), kPlenty), 20'000);
}

TEST(DiskUsageTest, GoesDeeperThanPathsAndDescriptorsReach) {
  const TempDirectory directory;
  int here = open(directory.path().c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 1500; ++i) {
    ASSERT_EQ(mkdirat(here, "deeper", 0755), 0);
    const int below = openat(here, "deeper", O_RDONLY | O_DIRECTORY);
    close(here);
    here = below;
  }
  const int file = openat(here, "f", O_WRONLY | O_CREAT, 0644);
  ASSERT_EQ(write(file, std::string(1'000'000, 'x').data(), 1'000'000), 1'000'000);
  close(file);
  EXPECT_GE(DiskUsage(directory.path(), kPlenty), 1'000'000);
  // TempDirectory's way of removing stops at long paths.
  for (int i = 0; i < 1500; ++i) {
    unlinkat(here, i == 0 ? "f" : "deeper", i == 0 ? 0 : AT_REMOVEDIR);
    const int above = openat(here, "..", O_RDONLY | O_DIRECTORY);
    close(here);
    here = above;
  }
  close(here);
}

TEST(DiskUsageTest, StopsWhenItIsEnough) {
  const TempDirectory directory;
  for (int i = 0; i < 100; ++i) WriteFile(directory.File(absl::StrCat(i)), 10'000);
  const int64_t counted = DiskUsage(directory.path(), 30'000);
  EXPECT_GT(counted, 30'000);
  EXPECT_LT(counted, 60'000);
}

TEST(DiskUsageTest, WhatIsNotThereCountsNothing) {
  EXPECT_EQ(DiskUsage("/nowhere/at/all", kPlenty), 0);
}

TEST(DiskWatchTest, TellsOnceThatADirectoryGrewTooLarge) {
  const TempDirectory directory;
  DiskWatch watch;
  absl::Notification told;
  int64_t bytes = 0;
  watch.Add(directory.path(), 100'000, [&](int64_t how_many) {
    bytes = how_many;
    told.Notify();
  });
  WriteFile(directory.File("a"), 200'000);
  ASSERT_TRUE(told.WaitForNotificationWithTimeout(absl::Seconds(60)));
  EXPECT_GT(bytes, 100'000);
}

TEST(DiskWatchTest, LooksAtAllAndForgetsWhatIsRemoved) {
  const TempDirectory directory;
  for (const char* name : {"small", "removed", "large"}) {
    mkdir(directory.File(name).c_str(), 0755);
  }
  WriteFile(directory.File("removed/a"), 200'000);
  WriteFile(directory.File("large/a"), 200'000);
  absl::Notification told;
  bool wrong = false;
  DiskWatch watch;
  watch.Add(directory.File("small"), 100'000, [&](int64_t) { wrong = true; });
  watch.Remove(watch.Add(directory.File("removed"), 100'000, [&](int64_t) { wrong = true; }));
  watch.Add(directory.File("large"), 100'000, [&](int64_t) { told.Notify(); });
  ASSERT_TRUE(told.WaitForNotificationWithTimeout(absl::Seconds(60)));
  EXPECT_FALSE(wrong);
}

}  // namespace
}  // namespace contree
