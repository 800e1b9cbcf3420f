#include "gateway/workspace/atomic_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::gateway {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string ReadAll(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

size_t CountEntries(const std::string& directory) {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
  return count;
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class AtomicFileTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<AtomicFile>> Create(const std::string& name, mode_t mode) {
    absl::StatusOr<HostDestination> destination =
        Workspace::OfUser().OpenDestination(directory_.File(name));
    if (!destination.ok()) return destination.status();
    return AtomicFile::Create(*std::move(destination), mode);
  }

  TempDirectory directory_;
};

TEST_F(AtomicFileTest, ItAppearsWholeWithItsModeLessTheUmask) {
  const mode_t before = umask(022);
  ASSERT_OK_AND_ASSIGN(const auto file, Create("file", 0775));
  ASSERT_OK(file->Write("first "));
  ASSERT_OK(file->Write("second"));
  EXPECT_FALSE(std::filesystem::exists(directory_.File("file")));
  ASSERT_OK(file->Commit());
  umask(before);
  EXPECT_EQ(ReadAll(directory_.File("file")), "first second");
  EXPECT_EQ(ModeOf(directory_.File("file")), 0755U);
  EXPECT_EQ(file->size(), 12);
  EXPECT_EQ(CountEntries(directory_.path()), 1U);
}

TEST_F(AtomicFileTest, ItReplacesWhatWasThere) {
  std::ofstream(directory_.File("file")) << "old and longer";
  ASSERT_OK_AND_ASSIGN(const auto file, Create("file", 0644));
  ASSERT_OK(file->Write("new"));
  ASSERT_OK(file->Commit());
  EXPECT_EQ(ReadAll(directory_.File("file")), "new");
}

TEST_F(AtomicFileTest, WhatIsNotCommittedLeavesNothingAndTouchesNothing) {
  std::ofstream(directory_.File("file")) << "old";
  {
    ASSERT_OK_AND_ASSIGN(const auto file, Create("file", 0644));
    ASSERT_OK(file->Write("half"));
  }
  EXPECT_EQ(ReadAll(directory_.File("file")), "old");
  EXPECT_EQ(CountEntries(directory_.path()), 1U);
}

TEST_F(AtomicFileTest, TheLongestNameThatAFileMayHaveWorks) {
  const std::string name(255, 'n');
  ASSERT_OK_AND_ASSIGN(const auto file, Create(name, 0644));
  ASSERT_OK(file->Commit());
  EXPECT_TRUE(std::filesystem::exists(directory_.File(name)));
  EXPECT_THAT(Create(std::string(256, 'n'), 0644),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too long")));
}

TEST_F(AtomicFileTest, NoRoomIsAnErrorThatSaysHowFarItCameAndLeavesNothing) {
  // A file may not grow past the limit, as on a disk that is full.
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  {
    ASSERT_OK_AND_ASSIGN(const auto file, Create("file", 0644));
    const rlimit limit = {.rlim_cur = 10'000, .rlim_max = before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const absl::Status status = file->Write(std::string(20'000, 'x'));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 AllOf(HasSubstr(directory_.File("file")),
                                       HasSubstr("after 10000 bytes"), HasSubstr("make room"))));
  }
  EXPECT_EQ(CountEntries(directory_.path()), 0U);
}

TEST_F(AtomicFileTest, ADirectoryThatWentAwayIsAnError) {
  std::filesystem::create_directory(directory_.File("gone"));
  absl::StatusOr<HostDestination> destination =
      Workspace::OfUser().OpenDestination(directory_.File("gone/file"));
  ASSERT_OK(destination);
  std::filesystem::remove(directory_.File("gone"));
  EXPECT_THAT(AtomicFile::Create(*std::move(destination), 0644),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cannot make a file for")));
}

}  // namespace
}  // namespace contree::gateway
