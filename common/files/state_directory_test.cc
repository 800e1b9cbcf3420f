#include "common/files/state_directory.h"

#include <sys/stat.h>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using testing::HasSubstr;

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

TEST(StateDirectoryTest, MakesMissingParentsPrivate) {
  TempDirectory temp;
  ASSERT_OK_AND_ASSIGN(const std::string path, MakePrivateDirectory(temp.File("a/b")));
  EXPECT_EQ(path, temp.File("a/b"));
  EXPECT_EQ(ModeOf(temp.File("a")), 0700u);
  EXPECT_EQ(ModeOf(path), 0700u);
}

TEST(StateDirectoryTest, TightensAnOpenDirectory) {
  TempDirectory temp;
  ASSERT_EQ(mkdir(temp.File("open").c_str(), 0755), 0);
  ASSERT_OK(MakePrivateDirectory(temp.File("open")));
  EXPECT_EQ(ModeOf(temp.File("open")), 0700u);
}

TEST(StateDirectoryTest, RefusesAFileInTheWay) {
  TempDirectory temp;
  ASSERT_OK(WritePrivateFile(temp.File("file"), "x"));
  EXPECT_THAT(MakePrivateDirectory(temp.File("file")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a directory")));
  EXPECT_THAT(MakePrivateDirectory(""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("empty")));
}

TEST(StateDirectoryTest, WritesPrivateFilesThatReadBackWhole) {
  TempDirectory temp;
  const std::string path = temp.File("secret");
  ASSERT_OK(WritePrivateFile(path, "first"));
  ASSERT_OK(WritePrivateFile(path, std::string("sec\0nd", 6)));
  EXPECT_EQ(ModeOf(path), 0600u);
  ASSERT_OK_AND_ASSIGN(const std::string content, ReadFile(path, 6));
  EXPECT_EQ(content, std::string("sec\0nd", 6));
  EXPECT_THAT(ReadFile(path, 5),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("5 bytes")));
  EXPECT_THAT(ReadFile(temp.File("none"), 5),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
}

}  // namespace
}  // namespace contree
