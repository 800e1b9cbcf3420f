#include "standalone/directory_size.h"

#include <filesystem>
#include <fstream>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::standalone {
namespace {

TEST(DirectorySizeTest, CountsEveryFileOnceAndFollowsNoLinks) {
  const TempDirectory directory;
  std::filesystem::create_directories(directory.File("a/b"));
  std::ofstream(directory.File("a/b/one")) << std::string(100'000, 'x');
  ASSERT_OK_AND_ASSIGN(const DirectorySize before, MeasureDirectory(directory.path()));
  EXPECT_EQ(before.files, 1u);
  EXPECT_GE(before.bytes, 100'000u);
  EXPECT_LT(before.bytes, 300'000u);
  EXPECT_TRUE(before.is_whole);
  std::filesystem::create_hard_link(directory.File("a/b/one"), directory.File("a/two"));
  std::filesystem::create_symlink("/", directory.File("link"));
  ASSERT_OK_AND_ASSIGN(const DirectorySize after, MeasureDirectory(directory.path()));
  EXPECT_EQ(after.files, 2u) << "the file and the link";
  EXPECT_LT(after.bytes, before.bytes + 50'000);
}

TEST(DirectorySizeTest, WhatIsNotThereIsNotFound) {
  EXPECT_THAT(MeasureDirectory("/no/such"),
              StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("/no/such")));
}

}  // namespace
}  // namespace contree::standalone
