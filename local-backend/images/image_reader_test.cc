#include "local-backend/images/image_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class ImageReaderTest : public testing::Test {
 protected:
  ImageReaderTest() : lower_(NewTestDirectory()), upper_(NewTestDirectory()) {
    mkdir(absl::StrCat(lower_, "/etc").c_str(), 0755);
    Write(lower_, "/etc/passwd", "root:x:0:0:::\nuser:x:1000:1000:::\nbroken\n");
    Write(lower_, "/both", "below");
    Write(upper_, "/both", "above");
    Write(lower_, "/only", "lower");
    // Outside of the image, beside its layers.
    Write(TestStateDirectory(), "/secret", "secret");
  }
  static void Write(const std::string& directory, const std::string& path,
                    const std::string& content) {
    std::ofstream(directory + path) << content;
  }
  static std::string Read(const ImageReader& reader, const std::string& path) {
    const absl::StatusOr<UniqueFd> file = reader.OpenFile(path);
    if (!file.ok()) return std::string(file.status().message());
    char buffer[100];
    const ssize_t got = read(file->get(), buffer, sizeof buffer);
    return std::string(buffer, got < 0 ? 0 : static_cast<size_t>(got));
  }
  ImageReader Open() {
    auto reader = ImageReader::Open({upper_, lower_}, NewTestDirectory());
    EXPECT_OK(reader);
    return *std::move(reader);
  }

  const std::string lower_;
  const std::string upper_;
};

// The kernel gives up on ".." (EAGAIN) when anything anywhere is renamed or mounted meanwhile.
TEST_F(ImageReaderTest, ReadsThroughDotDotWhateverElseTheMachineDoes) {
  const ImageReader reader = Open();
  const std::string place = NewTestDirectory();
  Write(place, "/a", "");
  std::atomic<bool> done = false;
  std::thread renaming([&] {
    while (!done) {
      rename(absl::StrCat(place, "/a").c_str(), absl::StrCat(place, "/b").c_str());
      rename(absl::StrCat(place, "/b").c_str(), absl::StrCat(place, "/a").c_str());
    }
  });
  int whole = 0;
  for (int i = 0; i < 2000; ++i) {
    if (Read(reader, "/etc/../etc/../both") == "above") ++whole;
  }
  done = true;
  renaming.join();
  EXPECT_EQ(whole, 2000);
}

TEST_F(ImageReaderTest, ShowsTheTopmostLayer) {
  const ImageReader reader = Open();
  EXPECT_EQ(Read(reader, "/both"), "above");
  EXPECT_EQ(Read(reader, "only"), "lower");
  ASSERT_OK_AND_ASSIGN(const auto entries, reader.List("/"));
  ASSERT_EQ(entries.size(), 3);
  EXPECT_EQ(entries[0].name, "both");
  EXPECT_EQ(entries[1].name, "etc");
  EXPECT_EQ(entries[2].name, "only");
}

TEST_F(ImageReaderTest, NothingLeadsOutOfTheImage) {
  symlink(absl::StrCat(TestStateDirectory(), "/secret").c_str(),
          absl::StrCat(upper_, "/absolute").c_str());
  symlink("../../../../../../proc/self/root/etc/passwd", absl::StrCat(upper_, "/relative").c_str());
  symlink("..", absl::StrCat(upper_, "/up").c_str());
  const ImageReader reader = Open();
  for (const std::string path :
       {"/absolute", "/relative", "/../secret", "/up/up/secret", "/../../../proc/self/status"}) {
    EXPECT_THAT(Read(reader, path), HasSubstr("there is no")) << path;
  }
  EXPECT_EQ(Read(reader, "/up/up/both"), "above");
}

TEST_F(ImageReaderTest, WhatIsNoRegularFileIsNotOpened) {
  ASSERT_EQ(mkfifo(absl::StrCat(upper_, "/pipe").c_str(), 0644), 0);
  const ImageReader reader = Open();
  // Opening a pipe would wait for a writer.
  EXPECT_THAT(reader.OpenFile("/pipe"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                 HasSubstr("/pipe is not a regular file")));
  EXPECT_THAT(reader.OpenFile("/etc"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a regular file")));
  EXPECT_THAT(reader.List("/both"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a directory")));
  EXPECT_THAT(reader.List("/none"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("/none")));
  EXPECT_THAT(reader.OpenFile(std::string("/a\0b", 4)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NUL")));
}

TEST_F(ImageReaderTest, NamesUsersOfTheImage) {
  EXPECT_THAT(Open().UserNames(), ElementsAre(Pair(0, "root"), Pair(1000, "user")));
  EXPECT_THAT(Open().GroupNames(), ElementsAre());
}

TEST_F(ImageReaderTest, OneLayerWillDo) {
  auto reader = ImageReader::Open({lower_}, NewTestDirectory());
  ASSERT_OK(reader);
  EXPECT_EQ(Read(*reader, "/both"), "below");
}

}  // namespace
}  // namespace contree
