#include "local-backend/files/attached_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;

class AttachFilesTest : public testing::Test {
 protected:
  AttachFilesTest() {
    for (const char* name : {"image", "target", "image/usr", "image/usr/bin"}) {
      mkdir(directory_.File(name).c_str(), 0755);
    }
    chmod(directory_.File("image/usr").c_str(), 0711);
    symlink("usr/bin", directory_.File("image/bin").c_str());
    symlink("/a/loop", directory_.File("image/a").c_str());
    std::ofstream(directory_.File("image/plain")) << "image";
    std::ofstream(directory_.File("source")) << "bytes";
    chmod(directory_.File("source").c_str(), 0644);
    image_.Reset(open(directory_.File("image").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  AttachedFile File(const std::string& path, uint32_t mode = 0644) const {
    return {.path = path,
            .source = directory_.File("source"),
            .content = "bytes",
            .mode = mode,
            .uid = geteuid(),
            .gid = getegid()};
  }
  absl::Status Attach(const std::vector<AttachedFile>& files, AttachBy by = AttachBy::kCopy) {
    return AttachFiles(files, image_.get(), directory_.File("target"), by);
  }
  struct stat Info(const std::string& path) const {
    struct stat info = {};
    EXPECT_EQ(lstat(directory_.File("target" + path).c_str(), &info), 0) << path;
    return info;
  }
  std::string Content(const std::string& path) const {
    std::stringstream text;
    text << std::ifstream(directory_.File("target" + path)).rdbuf();
    return text.str();
  }

  const TempDirectory directory_;
  UniqueFd image_;
};

TEST_F(AttachFilesTest, MakesDirectoriesAndKeepsThoseOfTheImage) {
  ASSERT_OK(Attach({File("/usr/share/doc/x", 0600), File("/top", 04755)}));
  EXPECT_EQ(Content("/usr/share/doc/x"), "bytes");
  EXPECT_EQ(Info("/usr").st_mode & 07777, 0711);
  EXPECT_EQ(Info("/usr/share").st_mode & 07777, 0755);
  EXPECT_EQ(Info("/usr/share/doc/x").st_mode & 07777, 0600);
  EXPECT_EQ(Info("/top").st_mode & 07777, 04755);
}

TEST_F(AttachFilesTest, FollowsLinksInsideTheImageOnly) {
  symlink("../../../../../../etc", directory_.File("image/out").c_str());
  ASSERT_OK(Attach({File("/bin/tool"), File("/out/passwd"), File("/usr/../../up")}));
  EXPECT_EQ(Content("/usr/bin/tool"), "bytes");
  EXPECT_EQ(Content("/etc/passwd"), "bytes");
  EXPECT_EQ(Content("/up"), "bytes");
  EXPECT_EQ(access(directory_.File("target/bin").c_str(), F_OK), -1);
}

TEST_F(AttachFilesTest, RefusesWhatCannotBe) {
  EXPECT_THAT(Attach({File("/plain/x")}), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                   HasSubstr("/plain in the image is not a dir")));
  EXPECT_THAT(Attach({File("/usr/bin")}), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                   HasSubstr("is a directory in the image")));
  EXPECT_THAT(Attach({File("/a/x")}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("loop")));
  EXPECT_THAT(Attach({File("/bin/x"), File("/usr/bin/x")}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("same place")));
  EXPECT_FALSE(Attach({File("/new"), File("/new/x")}).ok());
}

TEST_F(AttachFilesTest, CopyIsAFileOfItsOwn) {
  ASSERT_OK(Attach({File("/one"), File("/two")}));
  EXPECT_EQ(Info("/one").st_nlink, 1);
  EXPECT_NE(Info("/one").st_ino, Info("/two").st_ino);
}

TEST_F(AttachFilesTest, LinksOnceAndOnlyWhatFits) {
  if (geteuid() != 0) GTEST_SKIP() << "only uid 0's files are linked";
  ASSERT_OK(Attach({File("/a1"), File("/a2"), File("/private", 0600)}, AttachBy::kLink));
  struct stat source;
  stat(directory_.File("source").c_str(), &source);
  EXPECT_EQ(source.st_nlink, 2);
  EXPECT_EQ(Info("/a1").st_ino, source.st_ino);
  EXPECT_NE(Info("/a2").st_ino, source.st_ino);
  EXPECT_EQ(Info("/private").st_mode & 07777, 0600);
  EXPECT_EQ(source.st_mode & 07777, 0644);
}

TEST_F(AttachFilesTest, ManyFilesAreSharedAmongThreads) {
  std::vector<AttachedFile> files;
  for (int i = 0; i < 3000; ++i) files.push_back(File(absl::StrCat("/d", i % 7, "/f", i)));
  ASSERT_OK(Attach(files));
  for (int i = 0; i < 3000; i += 131) {
    EXPECT_EQ(Content(absl::StrCat("/d", i % 7, "/f", i)), "bytes");
  }
}

TEST_F(AttachFilesTest, TheDigestSaysWhatIsMade) {
  const std::vector<AttachedFile> files = {File("/usr/share/x"), File("/b")};
  const auto digest = [&](const std::vector<AttachedFile>& of) {
    return AttachmentPlan::Make(of, image_.get())->Digest();
  };
  const std::string first = digest(files);
  EXPECT_EQ(digest({files[1], files[0]}), first);
  EXPECT_EQ(digest({File("/bin/../share/x"), File("/b")}), first);
  EXPECT_NE(digest({files[0]}), first);
  EXPECT_NE(digest({files[0], File("/c")}), first);
  EXPECT_NE(digest({files[0], File("/b", 0600)}), first);
  AttachedFile other = File("/b");
  other.content = "others";
  EXPECT_NE(digest({files[0], other}), first);
  chmod(directory_.File("image/usr").c_str(), 0700);
  const std::string with_private_directory = digest(files);
  EXPECT_NE(with_private_directory, first);
  chmod(directory_.File("image").c_str(), 0711);
  EXPECT_NE(digest(files), with_private_directory);
}

TEST_F(AttachFilesTest, MissingSourceIsNamed) {
  AttachedFile file = File("/x");
  file.source = directory_.File("gone");
  EXPECT_THAT(Attach({file}), StatusIs(absl::StatusCode::kNotFound, HasSubstr("/x")));
}

}  // namespace
}  // namespace contree
