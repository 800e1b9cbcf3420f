#include "local-backend/images/image_archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::HasSubstr;

ImageReader ReaderOf(const std::string& layer) {
  auto reader = ImageReader::Open({layer}, NewTestDirectory());
  EXPECT_OK(reader);
  return *std::move(reader);
}

std::string ArchiveOf(const ImageReader& reader, const std::string& path) {
  std::string archive;
  EXPECT_OK(WriteArchive(reader, path, [&](absl::string_view bytes) {
    archive.append(bytes.data(), bytes.size());
    return true;
  }));
  return archive;
}

// What GNU tar, an implementation that is not ours, makes of it.
std::string Unpack(const std::string& archive) {
  std::string place = NewTestDirectory();
  std::ofstream(place + ".tar", std::ios::binary) << archive;
  const std::string command = absl::StrCat(
      "tar --xattrs --xattrs-include='*' --numeric-owner -xpf ", place, ".tar -C ", place);
  EXPECT_EQ(system(command.c_str()), 0);
  return place;
}

std::string Content(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(WriteArchiveTest, EverythingSurvives) {
  const std::string layer = NewTestDirectory();
  const std::string deep =
      absl::StrCat(layer, "/", std::string(120, 'd'), "/", std::string(90, 'e'));
  std::filesystem::create_directories(deep);
  std::ofstream(deep + "/grüße") << "deep";
  std::ofstream(layer + "/file") << std::string(700'000, 'x');
  chmod((layer + "/file").c_str(), 04751);
  chown((layer + "/file").c_str(), 1234, 65534);
  chmod((layer + "/file").c_str(), 04751);
  link((layer + "/file").c_str(), (layer + "/hard").c_str());
  symlink(std::string(150, 't').c_str(), (layer + "/symbolic").c_str());
  mkfifo((layer + "/pipe").c_str(), 0600);
  std::ofstream(layer + "/line\nfeed") << "";
  setxattr((layer + "/file").c_str(), "user.note", "a\0b", 3, 0);
  const timespec times[2] = {{1'700'000'000, 123'456'789}, {1'700'000'000, 123'456'789}};
  utimensat(AT_FDCWD, (layer + "/file").c_str(), times, 0);

  const std::string place = Unpack(ArchiveOf(ReaderOf(layer), "/"));
  EXPECT_EQ(
      Content(absl::StrCat(place, "/", std::string(120, 'd'), "/", std::string(90, 'e'), "/grüße")),
      "deep");
  EXPECT_EQ(Content(place + "/file"), std::string(700'000, 'x'));
  struct stat info;
  ASSERT_EQ(stat((place + "/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 04751);
  EXPECT_EQ(info.st_uid, 1234);
  EXPECT_EQ(info.st_gid, 65534);
  EXPECT_EQ(info.st_nlink, 2);
  EXPECT_EQ(info.st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(info.st_mtim.tv_nsec, 123'456'789);
  struct stat hard;
  ASSERT_EQ(stat((place + "/hard").c_str(), &hard), 0);
  EXPECT_EQ(hard.st_ino, info.st_ino);
  EXPECT_EQ(std::filesystem::read_symlink(place + "/symbolic"), std::string(150, 't'));
  ASSERT_EQ(stat((place + "/pipe").c_str(), &info), 0);
  EXPECT_TRUE(S_ISFIFO(info.st_mode));
  EXPECT_TRUE(std::filesystem::exists(place + "/line\nfeed"));
  char note[8];
  ASSERT_EQ(getxattr((place + "/file").c_str(), "user.note", note, sizeof note), 3);
  EXPECT_EQ(std::string(note, 3), std::string("a\0b", 3));
}

TEST(WriteArchiveTest, NamesBeginWithThePath) {
  const std::string layer = NewTestDirectory();
  std::filesystem::create_directories(layer + "/usr/bin");
  std::ofstream(layer + "/usr/bin/tool") << "tool";
  symlink("usr/bin", (layer + "/bin").c_str());
  const ImageReader reader = ReaderOf(layer);
  EXPECT_EQ(Content(Unpack(ArchiveOf(reader, "/usr/../usr/bin")) + "/usr/bin/tool"), "tool");
  EXPECT_EQ(Content(Unpack(ArchiveOf(reader, "/bin")) + "/bin/tool"), "tool");
  EXPECT_EQ(Content(Unpack(ArchiveOf(reader, "/usr/bin/tool")) + "/usr/bin/tool"), "tool");
  EXPECT_THAT(WriteArchive(reader, "/none", [](absl::string_view) { return true; }),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
}

TEST(WriteArchiveTest, EndsWhenNobodyReads) {
  const std::string layer = NewTestDirectory();
  std::ofstream(layer + "/file") << std::string(2'000'000, 'x');
  EXPECT_THAT(WriteArchive(ReaderOf(layer), "/", [](absl::string_view) { return false; }),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("nobody")));
}

}  // namespace
}  // namespace contree
