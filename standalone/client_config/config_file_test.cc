#include "standalone/client_config/config_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::standalone {
namespace {

using testing::HasSubstr;

void Write(const std::string& path, const std::string& content, mode_t mode) {
  std::ofstream(path) << content;
  EXPECT_EQ(chmod(path.c_str(), mode), 0);
}

std::string Content(const std::string& path) { return ReadFile(path, 1 << 20).value_or("none"); }

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(ConfigFileTest, ANewFileIsPrivateAndItsDirectoriesAreMade) {
  const TempDirectory home;
  const std::string path = home.File("a/b/c.json");
  ASSERT_OK_AND_ASSIGN(const ConfigFile file, ReadConfigFile(path));
  EXPECT_FALSE(file.exists);
  EXPECT_EQ(ReplaceConfigFile(file, "new").value(), "");
  EXPECT_EQ(Content(path), "new");
  EXPECT_EQ(ModeOf(path), 0600u);
  EXPECT_EQ(ModeOf(home.File("a/b")), 0700u);
}

TEST(ConfigFileTest, TheOldContentStaysBesideItAndTheModeStays) {
  const TempDirectory home;
  const std::string path = home.File("c.json");
  Write(path, "old", 0640);
  std::string backups[2];
  for (std::string& backup : backups) {
    ASSERT_OK_AND_ASSIGN(const ConfigFile file, ReadConfigFile(path));
    ASSERT_OK_AND_ASSIGN(backup, ReplaceConfigFile(file, file.text + "+"));
    EXPECT_EQ(Content(backup), file.text);
    EXPECT_EQ(ModeOf(backup), 0640u);
    EXPECT_EQ(ModeOf(path), 0640u);
  }
  EXPECT_NE(backups[0], backups[1]);
  EXPECT_EQ(Content(path), "old++");
}

TEST(ConfigFileTest, ALinkStaysALink) {
  const TempDirectory home;
  Write(home.File("real"), "old", 0600);
  std::filesystem::create_symlink("real", home.File("link"));
  ASSERT_OK_AND_ASSIGN(const ConfigFile file, ReadConfigFile(home.File("link")));
  ASSERT_OK(ReplaceConfigFile(file, "new").status());
  EXPECT_TRUE(std::filesystem::is_symlink(home.File("link")));
  EXPECT_EQ(Content(home.File("real")), "new");
}

TEST(ConfigFileTest, WhatMustNotBeReplacedIsLeftAsItIs) {
  const TempDirectory home;
  Write(home.File("read-only"), "old", 0444);
  ASSERT_OK_AND_ASSIGN(ConfigFile file, ReadConfigFile(home.File("read-only")));
  EXPECT_THAT(ReplaceConfigFile(file, "new"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("chmod u+w")));
  EXPECT_EQ(Content(home.File("read-only")), "old");

  Write(home.File("busy"), "old", 0600);
  ASSERT_OK_AND_ASSIGN(file, ReadConfigFile(home.File("busy")));
  Write(home.File("busy"), "somebody's", 0600);
  EXPECT_THAT(ReplaceConfigFile(file, "new"),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("changed by another program")));
  EXPECT_EQ(Content(home.File("busy")), "somebody's");

  std::filesystem::create_symlink("nowhere", home.File("dangling"));
  EXPECT_THAT(ReadConfigFile(home.File("dangling")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not there")));
  EXPECT_THAT(ReadConfigFile(home.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no regular file")));
  // Neither half a file nor a copy of it is left behind.
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(home.path())) {
    ++files;
    EXPECT_FALSE(absl::StrContains(entry.path().string(), ".bak")) << entry.path();
    EXPECT_FALSE(absl::StrContains(entry.path().string(), ".new")) << entry.path();
  }
  EXPECT_EQ(files, 3);
}

TEST(ConfigFileTest, ADirectoryThatCannotBeMadeIsNamed) {
  const TempDirectory home;
  Write(home.File("file"), "", 0600);
  ConfigFile file{.path = home.File("file/c.json")};
  EXPECT_THAT(ReplaceConfigFile(file, "new").status().message(), HasSubstr(home.File("file")));
}

}  // namespace
}  // namespace contree::standalone
