// Whatever a run leaves in a file tree, its children see just so, through many generations, also
// when their layers are flattened.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "local-backend/images/image_store.h"
#include "local-backend/sandbox/overlay.h"
#include "local-backend/testing/namespace_test_main.h"
#include "local-backend/testing/tree_description.h"

namespace contree {
namespace {

namespace fs = std::filesystem;

// What one run does, below the path of its root.
using Change = std::function<void(const std::string& root)>;

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
}

void SetAttribute(const std::string& path, const std::string& name, const std::string& value) {
  EXPECT_EQ(lsetxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0), 0)
      << path << " " << name << " " << strerror(errno);
}

void MakeSocket(const std::string& path) {
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof address.sun_path);
  memcpy(address.sun_path, path.c_str(), path.size());
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
      << strerror(errno);
}

void Own(const std::string& path, uid_t uid, gid_t gid, mode_t mode) {
  EXPECT_EQ(lchown(path.c_str(), uid, gid), 0) << path;
  EXPECT_EQ(chmod(path.c_str(), mode), 0) << path;
}

std::vector<Change> Changes() {
  return {
      [](const std::string& root) {
        fs::create_directories(root + "/app/src/deep/er");
        WriteFile(root + "/app/src/one", "1");
        WriteFile(root + "/app/src/deep/two", "2");
        WriteFile(root + "/app/src/deep/er/three", "3");
        EXPECT_EQ(link((root + "/app/src/one").c_str(), (root + "/app/also-one").c_str()), 0);
        EXPECT_EQ(symlink("src/one", (root + "/app/link").c_str()), 0);
        EXPECT_EQ(symlink("nowhere", (root + "/app/dangling").c_str()), 0);
        EXPECT_EQ(mkfifo((root + "/app/pipe").c_str(), 0640), 0);
        MakeSocket(root + "/app/socket");
        // In a user namespace nobody makes devices.
        EXPECT_EQ(mknod((root + "/app/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), -1);
        EXPECT_EQ(errno, EPERM);
      },
      [](const std::string& root) {
        Own(root + "/app/src/one", 12, 34, 04755);
        Own(root + "/app/src/deep", 65534, 65533, 03771);
        Own(root + "/app/pipe", 7, 8, 0602);
        EXPECT_EQ(lchown((root + "/app/link").c_str(), 5, 6), 0);
        SetAttribute(root + "/app/src/one", "user.note", "on a file");
        SetAttribute(root + "/app/src/deep", "user.note", std::string("a\0b", 3));
        SetAttribute(root + "/app", "user.empty", "");
      },
      [](const std::string& root) {
        fs::remove(root + "/app/src/deep/two");
        fs::remove_all(root + "/etc");
        fs::create_directory(root + "/etc");
        WriteFile(root + "/etc/only", "this");
        fs::remove(root + "/bin/vi");
      },
      [](const std::string& root) {
        // Made in this generation, so that a rename is one.
        fs::create_directories(root + "/new/inner");
        WriteFile(root + "/new/inner/file", "x");
        fs::rename(root + "/new", root + "/renamed");
        // Of a lower layer: as mv does it.
        fs::copy(root + "/app/src", root + "/app/moved",
                 fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        fs::remove_all(root + "/app/src");
      },
      [](const std::string& root) {
        // Other kinds in the same places.
        fs::remove_all(root + "/app/moved/deep");
        WriteFile(root + "/app/moved/deep", "a file now");
        fs::remove(root + "/app/link");
        fs::create_directories(root + "/app/link/below");
        WriteFile(root + "/renamed/inner/file", "longer than before");
        // New: a name of a file that was copied up shows the inode below until the mount ends.
        WriteFile(root + "/first", "has three names");
        EXPECT_EQ(link((root + "/first").c_str(), (root + "/second").c_str()), 0);
        EXPECT_EQ(link((root + "/second").c_str(), (root + "/third").c_str()), 0);
      },
      [](const std::string& root) {
        fs::remove_all(root + "/app");
        fs::create_directories(root + "/app/src");
        WriteFile(root + "/app/src/one", "nothing of before shows here");
        Own(root, 3, 4, 0751);
        SetAttribute(root, "user.root", "1");
        const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 1}, {.tv_sec = 2000, .tv_nsec = 2}};
        EXPECT_EQ(utimensat(AT_FDCWD, (root + "/app").c_str(), times, 0), 0);
        EXPECT_EQ(utimensat(AT_FDCWD, root.c_str(), times, 0), 0);
      },
  };
}

class GenerationsTest : public testing::Test {
 protected:
  GenerationsTest() {
    auto store = ImageStore::Open(NewTestDirectory());
    EXPECT_OK(store);
    store_ = *std::move(store);
    EXPECT_OK(store_->Seed("/bin/busybox"));
  }

  UniqueFd MountOf(const RunDirectory& run) {
    auto mounted = MountOverlay({.layers = run.layers,
                                 .upper = run.upper,
                                 .work = run.work,
                                 .empty_directory = store_->empty_directory()});
    EXPECT_OK(mounted);
    return *std::move(mounted);
  }

  // As an image is read.
  std::string Describe(const Image& image) {
    const auto mounted = MountOverlay({.layers = store_->LayerPaths(image),
                                       .upper = "",
                                       .work = "",
                                       .empty_directory = store_->empty_directory()});
    EXPECT_OK(mounted);
    return DescribeTree(mounted->get());
  }

  // As a run on it finds it.
  std::string DescribeForRun(const Image& image) {
    auto run = store_->NewRun(image);
    EXPECT_OK(run);
    const std::string description = DescribeTree(MountOf(*run).get());
    store_->Discard(*run);
    return description;
  }

  // The image after the change, and what the run saw at its end.
  Image Apply(const Image& parent, const Change& change, std::string& seen) {
    auto run = store_->NewRun(parent);
    EXPECT_OK(run);
    {
      // Attached for a moment, under a short name that a socket's address can hold.
      const UniqueFd mounted = MountOf(*run);
      const std::string place = TestStateDirectory() + "/m";
      mkdir(place.c_str(), 0755);
      EXPECT_EQ(move_mount(mounted.get(), "", AT_FDCWD, place.c_str(), MOVE_MOUNT_F_EMPTY_PATH), 0);
      change(place);
      seen = DescribeTree(mounted.get());
      EXPECT_EQ(umount2(place.c_str(), MNT_DETACH), 0);
    }
    const auto committed = store_->Commit(*run, parent, {}, "", 1 << 20);
    EXPECT_OK(committed);
    auto image = store_->Get(committed->image_uuid);
    EXPECT_OK(image);
    return *std::move(image);
  }

  std::unique_ptr<ImageStore> store_;
};

TEST_F(GenerationsTest, ChildrenSeeWhatWasLeft) {
  ASSERT_OK_AND_ASSIGN(Image image, store_->Resolve("tag:busybox:latest"));
  std::vector<Image> images;
  std::vector<std::string> expected;
  for (const Change& change : Changes()) {
    std::string seen;
    const std::string before = image.uuid;
    image = Apply(image, change, seen);
    EXPECT_NE(image.uuid, before);
    ASSERT_EQ(Describe(image), seen) << "generation " << images.size() + 1;
    ASSERT_EQ(DescribeForRun(image), seen) << "generation " << images.size() + 1;
    // Nothing done: the same image.
    EXPECT_EQ(Apply(
                  image, [](const std::string&) {}, seen)
                  .uuid,
              image.uuid);
    images.push_back(image);
    expected.push_back(seen);
  }
  // Generations that change little, until those before are flattened into one layer.
  for (size_t i = 0; i < kManyLayers + 2; ++i) {
    std::string seen;
    image = Apply(
        image,
        [i](const std::string& root) {
          WriteFile(root + "/app/src/one", absl::StrCat("generation ", i));
        },
        seen);
    images.push_back(image);
    expected.push_back(seen);
  }
  store_->FinishBackgroundWork();
  ASSERT_OK_AND_ASSIGN(const Image last, store_->Get(image.uuid));
  EXPECT_LT(last.layers.size(), kManyLayers);
  for (size_t i = 0; i < images.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const Image again, store_->Get(images[i].uuid));
    ASSERT_EQ(Describe(again), expected[i]) << "generation " << i + 1;
  }
}

}  // namespace
}  // namespace contree
