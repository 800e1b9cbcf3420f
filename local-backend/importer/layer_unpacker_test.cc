// Layers as an archive may hold them, honest and hostile, unpacked inside the backend's namespaces.

#include "local-backend/importer/layer_unpacker.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/files/unique_fd.h"
#include "common/http/gzip_encoder.h"
#include "common/testing/status_matchers.h"
#include "local-backend/sandbox/overlay.h"
#include "local-backend/testing/namespace_test_main.h"
#include "tests/harness/oci_image.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing_harness::MakeLayer;
using testing_harness::Packing;
using testing_harness::TarEntry;
using Kind = TarEntry::Kind;

constexpr int64_t kEnough = 64 * 1024 * 1024;

TarEntry Directory(const std::string& path, uint32_t mode = 0755) {
  return {.path = path, .kind = Kind::kDirectory, .mode = mode};
}
TarEntry File(const std::string& path, const std::string& content = "x") {
  return {.path = path, .content = content};
}
TarEntry Symlink(const std::string& path, const std::string& target) {
  return {.path = path, .kind = Kind::kSymlink, .target = target};
}
TarEntry HardLink(const std::string& path, const std::string& target) {
  return {.path = path, .kind = Kind::kHardLink, .target = target};
}
TarEntry Device(const std::string& path, uint32_t major, uint32_t minor) {
  return {.path = path,
          .kind = Kind::kCharacterDevice,
          .mode = 0666,
          .device_major = major,
          .device_minor = minor};
}

UniqueFd InMemory(const std::string& bytes) {
  UniqueFd fd(memfd_create("layer", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_SET), 0);
  return fd;
}

// Layers on top of each other, in a directory of the test's own.
class LayerUnpackerTest : public testing::Test {
 protected:
  LayerUnpackerTest() : root_(NewTestDirectory()) {
    std::filesystem::create_directory(root_ + "/empty");
    // What nothing may reach.
    std::ofstream(root_ + "/outside") << "untouched";
  }
  ~LayerUnpackerTest() override {
    std::ifstream file(root_ + "/outside");
    const std::string content((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(content, "untouched");
  }

  absl::StatusOr<int64_t> UnpackBytes(const std::string& archive, int64_t max_bytes = kEnough) {
    const std::string layer = absl::StrCat(root_, "/layer", ++number_);
    for (const char* part : {"", "/upper", "/work"}) {
      std::filesystem::create_directory(layer + part);
    }
    const UniqueFd fd = InMemory(archive);
    const absl::StatusOr<int64_t> bytes = UnpackLayer({.archive_fd = fd.get(),
                                                       .layers = layers_,
                                                       .upper = layer + "/upper",
                                                       .work = layer + "/work",
                                                       .empty_directory = root_ + "/empty",
                                                       .max_bytes = max_bytes});
    last_upper_ = layer + "/upper";
    if (bytes.ok()) layers_.insert(layers_.begin(), last_upper_);
    return bytes;
  }
  absl::StatusOr<int64_t> Unpack(const std::vector<TarEntry>& entries) {
    return UnpackBytes(MakeLayer(entries));
  }

  // All below the merged root: path → "d 755", "f 644 content", "l target", "p 600".
  std::map<std::string, std::string> Merged() {
    std::map<std::string, std::string> found;
    const auto mount = MountOverlay(
        {.layers = layers_, .upper = "", .work = "", .empty_directory = root_ + "/empty"});
    EXPECT_OK(mount);
    if (!mount.ok()) return found;
    const std::string top = absl::StrCat("/proc/self/fd/", mount->get(), "/.");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
      struct stat info = {};
      lstat(entry.path().c_str(), &info);
      const std::string mode = absl::StrFormat("%o", info.st_mode & 07777);
      std::string text;
      if (entry.is_symlink()) {
        text = "l " + std::filesystem::read_symlink(entry.path()).string();
      } else if (entry.is_directory()) {
        text = "d " + mode;
      } else if (entry.is_regular_file()) {
        std::ifstream file(entry.path());
        text =
            absl::StrCat("f ", mode, " ", std::string((std::istreambuf_iterator<char>(file)), {}));
      } else {
        text = absl::StrCat(entry.is_fifo() ? "p " : "? ", mode);
      }
      found[entry.path().string().substr(top.size() + 1)] = text;
    }
    return found;
  }
  struct stat Status(const std::string& path) {
    struct stat info = {};
    const auto mount = MountOverlay(
        {.layers = layers_, .upper = "", .work = "", .empty_directory = root_ + "/empty"});
    EXPECT_OK(mount);
    if (mount.ok()) {
      EXPECT_EQ(fstatat(mount->get(), path.c_str(), &info, AT_SYMLINK_NOFOLLOW), 0);
    }
    return info;
  }

  const std::string root_;
  std::vector<std::string> layers_;  // topmost first
  std::string last_upper_;
  int number_ = 0;
};

using Tree = std::map<std::string, std::string>;

// --- What honest archives hold

TEST_F(LayerUnpackerTest, KindsModesOwnersAndTimesAreThoseOfTheArchive) {
  TarEntry file = File("bin/tool", "content");
  file.mode = 04755;
  file.uid = 1000;
  file.gid = 65535;
  file.modified = 1'234'567'890;
  file.xattrs = {{"user.note", "kept"}};
  TarEntry directory = Directory("var/empty/", 01777);
  directory.modified = 1'000'000'000;
  const std::vector<TarEntry> entries = {directory,
                                         file,
                                         HardLink("bin/same", "bin/tool"),
                                         Symlink("bin/link", "../../../etc/passwd"),
                                         {.path = "run/pipe", .kind = Kind::kFifo, .mode = 0600},
                                         File("var/empty/late")};
  ASSERT_OK_AND_ASSIGN(const int64_t bytes, Unpack(entries));
  EXPECT_EQ(bytes, 8);
  EXPECT_EQ(Merged(), (Tree{{"bin", "d 755"},
                            {"bin/link", "l ../../../etc/passwd"},
                            {"bin/same", "f 4755 content"},
                            {"bin/tool", "f 4755 content"},
                            {"run", "d 755"},
                            {"run/pipe", "p 600"},
                            {"var", "d 755"},
                            {"var/empty", "d 1777"},
                            {"var/empty/late", "f 644 x"}}));
  const struct stat info = Status("bin/tool");
  EXPECT_EQ(info.st_uid, 1000u);
  EXPECT_EQ(info.st_gid, 65535u);
  EXPECT_EQ(info.st_mtime, 1'234'567'890);
  EXPECT_EQ(info.st_nlink, 2u);
  EXPECT_EQ(Status("bin/same").st_ino, info.st_ino);
  EXPECT_EQ(Status("var/empty").st_mtime, 1'000'000'000) << "whatever was made in it later";
  char value[16] = {};
  EXPECT_EQ(getxattr((layers_[0] + "/bin/tool").c_str(), "user.note", value, sizeof value), 4);
}

TEST_F(LayerUnpackerTest, EveryPackingIsRecognisedByItsBytes) {
  for (const Packing packing : {Packing::kPlain, Packing::kGzip, Packing::kZstd}) {
    layers_.clear();
    ASSERT_OK(UnpackBytes(MakeLayer({File("a", "text")}, packing)));
    EXPECT_EQ(Merged(), (Tree{{"a", "f 644 text"}}));
  }
  layers_.clear();
  // Two gzip members are one stream, as pigz and estargz write them.
  const std::string whole = MakeLayer({File("a", "text")}, Packing::kPlain);
  const auto gzip = [](const std::string& bytes) { return GzipEncoder().Finish(bytes); };
  ASSERT_OK(UnpackBytes(gzip(whole.substr(0, 700)) + gzip(whole.substr(700))));
  EXPECT_EQ(Merged(), (Tree{{"a", "f 644 text"}}));
  layers_.clear();
  ASSERT_OK(Unpack({}));  // what some tools make for an instruction that changed nothing
}

TEST_F(LayerUnpackerTest, MissingParentsLookAsTheyDoBelow) {
  ASSERT_OK(Unpack({Directory("tmp/", 01777), Directory("etc/private/", 0700)}));
  ASSERT_OK(Unpack({File("tmp/new"), File("etc/private/key"), File("usr/share/doc")}));
  EXPECT_EQ(Merged(), (Tree{{"etc", "d 755"},
                            {"etc/private", "d 700"},
                            {"etc/private/key", "f 644 x"},
                            {"tmp", "d 1777"},
                            {"tmp/new", "f 644 x"},
                            {"usr", "d 755"},
                            {"usr/share", "d 755"},
                            {"usr/share/doc", "f 644 x"}}));
}

TEST_F(LayerUnpackerTest, WhiteoutsHideWhatIsBelow) {
  ASSERT_OK(Unpack({File("a/one"), File("a/two"), File("b/deep/file"), File("keep")}));
  ASSERT_OK(Unpack({File("a/.wh.one", ""), File(".wh.b", ""), File("missing/.wh.nothing", "")}));
  Tree merged = Merged();
  merged.erase("missing");
  EXPECT_EQ(merged, (Tree{{"a", "d 755"}, {"a/two", "f 644 x"}, {"keep", "f 644 x"}}));
  // Made again on top: nothing of the old one shows.
  ASSERT_OK(Unpack({File("b/new")}));
  merged = Merged();
  merged.erase("missing");
  EXPECT_EQ(merged, (Tree{{"a", "d 755"},
                          {"a/two", "f 644 x"},
                          {"b", "d 755"},
                          {"b/new", "f 644 x"},
                          {"keep", "f 644 x"}}));
}

TEST_F(LayerUnpackerTest, AWhiteoutIsAboutTheLayersBelowWhereverItStands) {
  ASSERT_OK(Unpack({File("d/old"), File("d/same", "old")}));
  // The layer's own files stay, written before or after the mark.
  ASSERT_OK(Unpack({File("d/same", "new"), File("d/.wh.same", ""), File("d/.wh..wh..opq", ""),
                    File("d/after")}));
  EXPECT_EQ(Merged(), (Tree{{"d", "d 755"}, {"d/after", "f 644 x"}, {"d/same", "f 644 new"}}));
}

TEST_F(LayerUnpackerTest, AnOpaqueDirectoryShowsNothingFromBelow) {
  ASSERT_OK(Unpack({File("d/old"), File("d/sub/older"), File("e")}));
  ASSERT_OK(Unpack({Directory("d/"), File("d/.wh..wh..opq", ""), File("d/new")}));
  EXPECT_EQ(Merged(), (Tree{{"d", "d 755"}, {"d/new", "f 644 x"}, {"e", "f 644 x"}}));
  ASSERT_OK(Unpack({File(".wh..wh..opq", ""), File("all")}));  // the root itself
  EXPECT_EQ(Merged(), (Tree{{"all", "f 644 x"}}));
}

TEST_F(LayerUnpackerTest, AnotherKindOfFileTakesThePlace) {
  ASSERT_OK(Unpack({File("a/inner"), File("b"), Symlink("c", "b"), Directory("d/", 0700)}));
  ASSERT_OK(Unpack({File("a", "was a directory"), Directory("b/"), File("b/inner"), File("c"),
                    Directory("d/", 0711)}));
  EXPECT_EQ(Merged(), (Tree{{"a", "f 644 was a directory"},
                            {"b", "d 755"},
                            {"b/inner", "f 644 x"},
                            {"c", "f 644 x"},
                            {"d", "d 711"}}));
}

TEST_F(LayerUnpackerTest, MarksOfAnOldStorageDriverAndSocketsAreLeftOut) {
  ASSERT_OK(Unpack({File(".wh..wh.plnk/1"), File(".wh..wh.aufs"), File("a")}));
  EXPECT_EQ(Merged(), (Tree{{"a", "f 644 x"}}));
}

// --- What hostile ones hold

TEST_F(LayerUnpackerTest, PathsThatLeadOutAreRefused) {
  for (const std::string path :
       {"../outside", "a/../../outside", "a/..", "/outside", "..", "./../outside", "//outside"}) {
    EXPECT_THAT(Unpack({File(path)}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("the layer was refused")))
        << path;
    EXPECT_THAT(Unpack({File("a"), HardLink("b", path)}),
                StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << path;
  }
  for (const char* path : {".wh...", ".wh..", ".wh.", "../.wh.outside", "a/../.wh.outside"}) {
    EXPECT_THAT(Unpack({File(path)}), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << path;
  }
}

TEST_F(LayerUnpackerTest, LinksLeadNowhereElse) {
  // Absolute and climbing links are of the image; what goes through them stays in it.
  for (const std::string& target :
       {root_, std::string("/"), std::string("../../../../../../../.."),
        std::string("/proc/self/root"), std::string("/proc/self/cwd")}) {
    layers_.clear();
    const absl::StatusOr<int64_t> unpacked =
        Unpack({Symlink("way", target), File("way/outside", "broken into"),
                File("way/.wh.outside", ""), HardLink("stolen", "way/outside")});
    // Where the link leads to nothing in the image it is refused, else it stays inside.
    if (!unpacked.ok()) {
      EXPECT_THAT(unpacked, StatusIs(absl::StatusCode::kInvalidArgument, testing::_)) << target;
    }
  }
  // In a later layer too, and through a whiteout.
  layers_.clear();
  ASSERT_OK(Unpack({Symlink("way", root_)}));
  (void)Unpack({File("way/outside", "broken into")}).ok();
  (void)Unpack({File("way/.wh.outside", "")}).ok();
  (void)Unpack({File("way/.wh..wh..opq", "")}).ok();
}

TEST_F(LayerUnpackerTest, DevicesAreNotMade) {
  EXPECT_THAT(Unpack({Device("sda", 8, 0)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("sda"), HasSubstr("is a device"))));
  // Overlayfs's own mark for "deleted" is no way to hide a file either.
  EXPECT_THAT(Unpack({Device("etc/shadow", 0, 0)}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a device")));
  EXPECT_THAT(Unpack({Device("dev/whiteout", 0, 0)}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a device")));
  // A /dev that old images bring along is passed over: sandboxes have their own.
  layers_.clear();
  ASSERT_OK(Unpack({Device("dev/null", 1, 3), File("a")}));
  EXPECT_EQ(Merged(), (Tree{{"a", "f 644 x"}}));
}

TEST_F(LayerUnpackerTest, MarksOfOverlayfsAreRefused) {
  for (const char* name : {"trusted.overlay.opaque", "user.overlay.opaque", "user.overlay.redirect",
                           "trusted.overlay.redirect", "user.overlay.whiteout"}) {
    TarEntry entry = Directory("etc/");
    entry.xattrs = {{name, "y"}};
    EXPECT_THAT(Unpack({entry}), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
  }
  // Others that would mean something to the host are left out.
  layers_.clear();
  TarEntry entry = File("a");
  entry.xattrs = {{"security.selinux", "x"}, {"trusted.other", "y"}};
  ASSERT_OK(Unpack({entry}));
  char names[256];
  EXPECT_EQ(listxattr((layers_[0] + "/a").c_str(), names, sizeof names), 0);
}

TEST_F(LayerUnpackerTest, HardLinksAreOfTheImageOnly) {
  EXPECT_THAT(
      Unpack({HardLink("a", "nothing")}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("which is no file of the image")));
  EXPECT_THAT(Unpack({Directory("d/"), HardLink("a", "d")}),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  // A link to a file of a lower layer is another name of a copy in this one.
  layers_.clear();
  ASSERT_OK(Unpack({File("a", "below")}));
  ASSERT_OK(Unpack({HardLink("b", "a")}));
  EXPECT_EQ(Merged(), (Tree{{"a", "f 644 below"}, {"b", "f 644 below"}}));
}

TEST_F(LayerUnpackerTest, OwnersOutsideOfTheNamespaceAreRefused) {
  for (const int64_t id : {int64_t{65536}, int64_t{1} << 31, int64_t{1} << 40}) {
    TarEntry entry = File("a");
    entry.uid = id;
    EXPECT_THAT(Unpack({entry}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("belongs to")));
  }
}

TEST_F(LayerUnpackerTest, BombsAreBounded) {
  // Zeros: a thousandth of their size, packed.
  const std::string zeros = MakeLayer({File("zeros", std::string(8 << 20, '\0'))});
  ASSERT_LT(zeros.size(), 100'000u);
  EXPECT_THAT(UnpackBytes(zeros, 1 << 20),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1048576 bytes")));
  // Nothing but names.
  std::vector<TarEntry> names;
  for (int i = 0; i < 3000; ++i) names.push_back(File(absl::StrCat("f", i), ""));
  EXPECT_THAT(UnpackBytes(MakeLayer(names), 1 << 20),
              StatusIs(absl::StatusCode::kResourceExhausted, testing::_));
}

TEST_F(LayerUnpackerTest, DamagedArchivesAreRefused) {
  const std::string whole = MakeLayer({File("a", std::string(100'000, 'a')), File("b")});
  const std::string plain = MakeLayer({File("a", std::string(100'000, 'a'))}, Packing::kPlain);
  // Bytes that changed on their way are found by the digest, before.
  for (const std::string& archive :
       {whole.substr(0, whole.size() / 2), plain.substr(0, 50'000),
        std::string("\x1f\x8b\x08 no gzip at all"), std::string("\x28\xb5\x2f\xfd no zstd"),
        std::string(4096, 'x')}) {
    EXPECT_THAT(UnpackBytes(archive), StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  }
}

TEST_F(LayerUnpackerTest, AFullDiskIsNamed) {
  // A disk of its own, of one megabyte.
  const std::string disk = root_ + "/disk";
  std::filesystem::create_directory(disk);
  ASSERT_EQ(mount("small", disk.c_str(), "tmpfs", 0, "size=1m"), 0) << errno;
  const absl::Cleanup unmount = [&disk] { umount2(disk.c_str(), MNT_DETACH); };
  for (const char* part : {"/upper", "/work"}) std::filesystem::create_directory(disk + part);
  const UniqueFd archive = InMemory(MakeLayer({File("big", std::string(4 << 20, 'b'))}));
  EXPECT_THAT(UnpackLayer({.archive_fd = archive.get(),
                           .layers = {},
                           .upper = disk + "/upper",
                           .work = disk + "/work",
                           .empty_directory = root_ + "/empty",
                           .max_bytes = kEnough}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("the disk is full"), HasSubstr("big"))));
}

TEST_F(LayerUnpackerTest, ItEndsWhenItIsCancelled) {
  const UniqueFd archive = InMemory(MakeLayer({File("a"), File("b")}));
  const std::string layer = root_ + "/cancelled";
  for (const char* part : {"", "/upper", "/work"}) std::filesystem::create_directory(layer + part);
  EXPECT_THAT(UnpackLayer({.archive_fd = archive.get(),
                           .layers = {},
                           .upper = layer + "/upper",
                           .work = layer + "/work",
                           .empty_directory = root_ + "/empty",
                           .max_bytes = kEnough,
                           .is_cancelled = [] { return true; }}),
              StatusIs(absl::StatusCode::kCancelled, testing::_));
}

}  // namespace
}  // namespace contree
