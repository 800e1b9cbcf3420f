#include "gateway/sync/tree_walk.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "common/files/sha256.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gateway/sync/file_reader.h"
#include "gateway/sync/tree_entry.h"
#include "gmock/gmock.h"

namespace contree::gateway {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::UnorderedElementsAre;

void WriteFile(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << content;
}

// Of this thread and those that it starts: root may no longer read everything.
void DropPowersOverFiles() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  ASSERT_EQ(syscall(SYS_capget, &header, data), 0);
  data[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
  ASSERT_EQ(syscall(SYS_capset, &header, data), 0);
}

class TreeWalkTest : public testing::Test {
 protected:
  std::string File(const std::string& name) const { return directory_.File(name); }

  std::shared_ptr<const TreeRoot> Root(const std::string& path) {
    const Workspace user = Workspace::OfUser();
    absl::StatusOr<HostSource> source = user.OpenSource(path);
    EXPECT_OK(source);
    return *TreeRoot::Of(*std::move(source));
  }
  absl::StatusOr<std::shared_ptr<const Tree>> TryWalk(std::shared_ptr<const TreeRoot> root,
                                                      const IgnorePatterns& excludes,
                                                      int threads = 2) {
    absl::StatusOr<contree::gateway::Walk> walk =
        WalkTree(*root, "", excludes, {.threads = threads});
    if (!walk.ok()) return walk.status();
    std::vector<std::shared_ptr<const TreeDirectory>> directories;
    for (const WalkedDirectory& walked : walk->directories) {
      directories.push_back(walked.directory);
    }
    return MakeTree(std::move(root), std::move(directories));
  }
  std::shared_ptr<const Tree> Walk(const std::vector<std::string>& excludes = {}) {
    const auto patterns = IgnorePatterns::Parse(excludes);
    EXPECT_OK(patterns);
    auto tree = TryWalk(Root(directory_.path()), *patterns);
    EXPECT_OK(tree);
    return *tree;
  }

  static std::map<std::string, FileRow> Rows(const Tree& tree) {
    std::map<std::string, FileRow> rows;
    for (const auto& directory : tree.directories) {
      const auto names = directory->Names();
      EXPECT_EQ(names.size(), static_cast<size_t>(directory->files()));
      for (size_t i = 0; i < names.size(); ++i) {
        rows[JoinTreePath(directory->path, names[i])] = directory->Row(static_cast<int>(i));
      }
    }
    return rows;
  }
  static std::vector<std::string> Omitted(const Tree& tree, Omission omission) {
    const auto found = tree.omissions.all().find(omission);
    return found == tree.omissions.all().end() ? std::vector<std::string>() : found->second.paths;
  }

  TempDirectory directory_;
};

TEST_F(TreeWalkTest, RowsHaveWhatTheSystemSaysOfEachFile) {
  WriteFile(File("a.txt"), "hello");
  WriteFile(File("sub/deep/run.sh"), "#!/bin/sh\n");
  ASSERT_EQ(chmod(File("sub/deep/run.sh").c_str(), 04750), 0);
  const auto tree = Walk();
  const auto rows = Rows(*tree);
  ASSERT_THAT(rows, ElementsAre(Key("a.txt"), Key("sub/deep/run.sh")));
  struct stat info;
  ASSERT_EQ(stat(File("sub/deep/run.sh").c_str(), &info), 0);
  const FileRow& row = rows.at("sub/deep/run.sh");
  EXPECT_EQ(row.mode, 04750U);
  EXPECT_EQ(row.size, 10);
  EXPECT_EQ(row.inode, info.st_ino);
  EXPECT_EQ(row.mtime_ns, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec);
  EXPECT_EQ(row.ctime_ns, info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec);
  EXPECT_EQ(tree->files, 2);
  EXPECT_EQ(tree->bytes, 15);
  EXPECT_THAT(tree->omissions.all(), IsEmpty());
}

TEST_F(TreeWalkTest, TheDigestIsThatOfThePathsAndListingsAndDoesNotDependOnThreads) {
  for (int i = 0; i < 50; ++i) {
    WriteFile(File("d" + std::to_string(i) + "/x-y/" + std::to_string(i)), "x");
  }
  const auto tree = Walk();
  Sha256 digest;
  std::string last;
  for (const auto& directory : tree->directories) {
    EXPECT_LT(last, directory->path);
    last = directory->path;
    EXPECT_EQ(directory->digest, Sha256Bytes(directory->listing.SerializeAsString()));
    digest.Update(directory->path);
    digest.Update(absl::string_view("\0", 1));
    digest.Update(directory->digest);
  }
  EXPECT_EQ(tree->digest, digest.Finish());
  // What is young may have grown old in between: then that is all that differs.
  const auto again = TryWalk(Root(directory_.path()), {}, /*threads=*/1);
  ASSERT_OK(again);
  const auto rows = Rows(*tree);
  const auto rows_again = Rows(**again);
  ASSERT_EQ(rows.size(), rows_again.size());
  for (const auto& [path, row] : rows) EXPECT_TRUE(row.HasStatOf(rows_again.at(path))) << path;
}

TEST_F(TreeWalkTest, AnExcludedDirectoryIsNotEvenOpened) {
  WriteFile(File("keep/a"), "a");
  WriteFile(File("node_modules/b"), "b");
  WriteFile(File("keep/node_modules/c"), "c");
  WriteFile(File("keep/x.pyc"), "d");
  WriteFile(File(".git/config"), "e");
  WriteFile(File(".gitignore"), "f");
  // What is in there cannot be read, and nobody notices.
  ASSERT_EQ(symlink("loop", File("node_modules/loop").c_str()), 0);
  const auto tree = Walk({"node_modules/", "*.pyc", ".git"});
  EXPECT_THAT(Rows(*tree), ElementsAre(Key(".gitignore"), Key("keep/a")));
  EXPECT_THAT(tree->omissions.all(), IsEmpty());
}

TEST_F(TreeWalkTest, ALinkToAFileOfTheTreeIsCarriedAsThatFileAndOtherLinksAreTold) {
  TempDirectory outside;
  WriteFile(outside.File("secret"), "secret");
  WriteFile(File("real/lib.so.1"), "library");
  std::filesystem::create_symlink("lib.so.1", File("real/lib.so"));
  std::filesystem::create_symlink("real/lib.so", File("twice"));
  std::filesystem::create_symlink("real", File("directory"));
  std::filesystem::create_symlink(outside.File("secret"), File("absolute"));
  std::filesystem::create_symlink("../" + outside.path().substr(5) + "/secret", File("relative"));
  std::filesystem::create_symlink("nowhere", File("dangling"));
  std::filesystem::create_symlink("loop-b", File("loop-a"));
  std::filesystem::create_symlink("loop-a", File("loop-b"));
  std::filesystem::create_symlink("..", File("real/up"));
  ASSERT_EQ(mkfifo(File("real/pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("real/pipe", File("to-pipe"));
  const auto tree = Walk();
  const auto rows = Rows(*tree);
  EXPECT_THAT(rows, ElementsAre(Key("real/lib.so"), Key("real/lib.so.1"), Key("twice")));
  EXPECT_TRUE(rows.at("twice").is_link);
  EXPECT_TRUE(rows.at("twice").HasStatOf(rows.at("real/lib.so.1")));
  EXPECT_FALSE(rows.at("real/lib.so.1").is_link);
  EXPECT_EQ(tree->links, 2);
  EXPECT_THAT(Omitted(*tree, Omission::kLinkToDirectory),
              UnorderedElementsAre("directory", "real/up"));
  EXPECT_THAT(Omitted(*tree, Omission::kLinkOutside), UnorderedElementsAre("absolute", "relative"));
  EXPECT_THAT(Omitted(*tree, Omission::kBrokenLink),
              UnorderedElementsAre("dangling", "loop-a", "loop-b"));
  EXPECT_THAT(Omitted(*tree, Omission::kLinkToSpecial), ElementsAre("to-pipe"));
  EXPECT_THAT(Omitted(*tree, Omission::kSpecialFile), ElementsAre("real/pipe"));
  // Reading goes through the link, and a file that became a link is not followed.
  EXPECT_TRUE(OpenTreeFile(*tree->root, "twice", /*is_link=*/true).is_open());
  EXPECT_FALSE(OpenTreeFile(*tree->root, "twice", /*is_link=*/false).is_open());
  EXPECT_FALSE(OpenTreeFile(*tree->root, "absolute", /*is_link=*/true).is_open());
}

TEST_F(TreeWalkTest, SocketsPipesAndDevicesAreToldAndNotOpened) {
  WriteFile(File("file"), "x");
  ASSERT_EQ(mkfifo(File("pipe").c_str(), 0600), 0);
  const UniqueFd socket_fd(socket(AF_UNIX, SOCK_STREAM, 0));
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = ""};
  File("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto tree = Walk();
  EXPECT_THAT(Rows(*tree), ElementsAre(Key("file")));
  EXPECT_THAT(Omitted(*tree, Omission::kSpecialFile), UnorderedElementsAre("pipe", "socket"));
}

TEST_F(TreeWalkTest, EmptyDirectoriesAreTold) {
  WriteFile(File("full/file"), "x");
  std::filesystem::create_directories(File("a/b/empty"));
  std::filesystem::create_directories(File("full/empty"));
  const auto tree = Walk();
  EXPECT_THAT(Omitted(*tree, Omission::kEmptyDirectory),
              UnorderedElementsAre("a/b/empty", "full/empty"));
}

TEST_F(TreeWalkTest, AnEmptyTreeIsATree) {
  const auto tree = Walk();
  EXPECT_EQ(tree->files, 0);
  EXPECT_THAT(tree->directories, IsEmpty());
  EXPECT_EQ(tree->digest, Sha256Bytes(""));
  EXPECT_THAT(tree->omissions.all(), IsEmpty());
}

TEST_F(TreeWalkTest, NamesMayHoldNewlinesAndHaveToBeUtf8) {
  WriteFile(File("two\nlines"), "x");
  WriteFile(File("grüße"), "x");
  WriteFile(File("bad\xff"), "x");
  WriteFile(File("dir\xfe/inside"), "x");
  const auto tree = Walk();
  EXPECT_THAT(Rows(*tree), ElementsAre(Key("grüße"), Key("two\nlines")));
  EXPECT_THAT(Omitted(*tree, Omission::kNameNotUtf8), UnorderedElementsAre("bad\\xff", "dir\\xfe"));
}

TEST_F(TreeWalkTest, WhatMayNotBeReadIsTold) {
  WriteFile(File("open"), "x");
  WriteFile(File("closed"), "x");
  WriteFile(File("private/inside"), "x");
  ASSERT_EQ(chmod(File("closed").c_str(), 0), 0);
  ASSERT_EQ(chmod(File("private").c_str(), 0), 0);
  ASSERT_EQ(chmod(directory_.path().c_str(), 0755), 0);
  std::shared_ptr<const Tree> tree;
  std::thread([&] {
    DropPowersOverFiles();
    tree = Walk();
  }).join();
  EXPECT_THAT(Rows(*tree), ElementsAre(Key("open")));
  EXPECT_THAT(Omitted(*tree, Omission::kUnreadableFile), ElementsAre("closed"));
  EXPECT_THAT(Omitted(*tree, Omission::kUnreadableDirectory), ElementsAre("private"));
  EXPECT_EQ(tree->omissions.count(Omission::kEmptyDirectory), 0);
  ASSERT_EQ(chmod(File("private").c_str(), 0700), 0);
}

TEST_F(TreeWalkTest, HardLinksAreFilesWhoseChangesMayComeByAnotherName) {
  WriteFile(File("a"), "x");
  std::filesystem::create_hard_link(File("a"), File("b"));
  WriteFile(File("c"), "x");
  const auto rows = Rows(*Walk());
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_TRUE(rows.at("a").has_other_names);
  EXPECT_TRUE(rows.at("b").has_other_names);
  EXPECT_FALSE(rows.at("c").has_other_names);
}

TEST_F(TreeWalkTest, ASparseFileIsNotReadByAWalk) {
  WriteFile(File("sparse"), "");
  ASSERT_EQ(truncate(File("sparse").c_str(), int64_t{1} << 40), 0);
  const auto tree = Walk();
  EXPECT_EQ(Rows(*tree).at("sparse").size, int64_t{1} << 40);
  EXPECT_EQ(tree->bytes, int64_t{1} << 40);
}

TEST_F(TreeWalkTest, AFileIsYoungUntilTheClockHasMovedOn) {
  struct stat info = {};
  info.st_ctim = {.tv_sec = 1000, .tv_nsec = 500'000'000};
  const int64_t changed = 1'000'500'000'000;
  constexpr int64_t kMillisecond = 1'000'000;
  EXPECT_TRUE(RowOf(info, changed, true).is_young);
  EXPECT_TRUE(RowOf(info, changed + 50 * kMillisecond, true).is_young);
  EXPECT_FALSE(RowOf(info, changed + 150 * kMillisecond, true).is_young);
  // Changed in the future: the clock was set back.
  EXPECT_TRUE(RowOf(info, changed - 3'600'000 * kMillisecond, true).is_young);
  // Elsewhere the clock may be another.
  EXPECT_TRUE(RowOf(info, changed + 2'000 * kMillisecond, false).is_young);
  EXPECT_FALSE(RowOf(info, changed + 4'000 * kMillisecond, false).is_young);
  // A file system that keeps whole seconds.
  info.st_ctim.tv_nsec = 0;
  EXPECT_TRUE(RowOf(info, 1'001'500'000'000, true).is_young);
  EXPECT_FALSE(RowOf(info, 1'002'500'000'000, true).is_young);
}

TEST_F(TreeWalkTest, ATreeThatWasDeletedIsNotAnEmptyOne) {
  std::filesystem::create_directories(File("tree/sub"));
  WriteFile(File("tree/sub/file"), "x");
  const auto root = Root(File("tree"));
  std::filesystem::remove_all(File("tree"));
  EXPECT_THAT(TryWalk(root, {}), StatusIs(StatusCode::kNotFound,
                                          AllOf(HasSubstr(File("tree")), HasSubstr("deleted"))));
}

TEST_F(TreeWalkTest, DirectoriesThatGoUnderTheWalkAreGone) {
  for (int i = 0; i < 200; ++i) WriteFile(File("stay/" + std::to_string(i)), "x");
  for (int i = 0; i < 300; ++i) WriteFile(File("go/" + std::to_string(i) + "/f"), "x");
  std::thread remover([&] { std::filesystem::remove_all(File("go")); });
  for (int i = 0; i < 20; ++i) {
    const auto rows = Rows(*Walk());
    EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                            [](const auto& row) { return row.first.starts_with("stay/"); }),
              200);
  }
  remover.join();
  EXPECT_EQ(Rows(*Walk()).size(), 200U);
}

TEST_F(TreeWalkTest, FileSystemsOfTheKernelAreToldAndAreNoSource) {
  const Workspace user = Workspace::OfUser();
  ASSERT_OK_AND_ASSIGN(HostSource source, user.OpenSource("/proc/self"));
  EXPECT_THAT(TryWalk(*TreeRoot::Of(std::move(source)), {}),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("kernel")));
}

TEST_F(TreeWalkTest, ASingleFileIsATreeOfOne) {
  WriteFile(File("source.txt"), "content");
  const auto root = Root(File("source.txt"));
  EXPECT_FALSE(root->is_directory);
  ASSERT_OK_AND_ASSIGN(auto directory, WalkFile(*root, "target.txt"));
  const auto tree = MakeTree(root, {directory});
  const auto rows = Rows(*tree);
  ASSERT_THAT(rows, ElementsAre(Key("target.txt")));
  EXPECT_EQ(rows.at("target.txt").size, 7);
  FileReader reader;
  // Read twice: each time from its beginning.
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(reader.Hash(*root, {.path = "target.txt"}, {}).sha256, Sha256Bytes("content"));
  }
}

TEST_F(TreeWalkTest, AWalkCanBeCancelled) {
  WriteFile(File("a"), "x");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THAT(WalkTree(*Root(directory_.path()), "", {}, {.stop = stop.get_token()}),
              StatusIs(StatusCode::kCancelled, HasSubstr("cancelled")));
}

TEST_F(TreeWalkTest, NamesOfOmissionsAreBounded) {
  for (int i = 0; i < 30; ++i) ASSERT_EQ(symlink("nowhere", File(std::to_string(i)).c_str()), 0);
  const auto tree = Walk();
  EXPECT_EQ(tree->omissions.count(Omission::kBrokenLink), 30);
  EXPECT_EQ(Omitted(*tree, Omission::kBrokenLink).size(), Omissions::kMaxNames);
}

TEST_F(TreeWalkTest, HashingSeesChangesAndDoesNotWaitForPipes) {
  WriteFile(File("file"), "one");
  WriteFile(File("large"), std::string(3 * kFilePieceBytes + 7, 'x'));
  WriteFile(File("exact"), std::string(2 * kFilePieceBytes, 'y'));
  ASSERT_EQ(mkfifo(File("pipe").c_str(), 0600), 0);
  const auto root = Root(directory_.path());
  FileReader reader;
  EXPECT_EQ(reader.Hash(*root, {.path = "file"}, {}).sha256, Sha256Bytes("one"));
  EXPECT_EQ(reader.Hash(*root, {.path = "large"}, {}).sha256,
            Sha256Bytes(std::string(3 * kFilePieceBytes + 7, 'x')));
  EXPECT_EQ(reader.Hash(*root, {.path = "exact"}, {}).sha256,
            Sha256Bytes(std::string(2 * kFilePieceBytes, 'y')));
  EXPECT_EQ(reader.Hash(*root, {.path = "pipe"}, {}).outcome, HashedFile::Outcome::kGone);
  EXPECT_EQ(reader.Hash(*root, {.path = "nothing"}, {}).outcome, HashedFile::Outcome::kGone);
  EXPECT_EQ(reader.Hash(*root, {.path = "../" + directory_.path().substr(5) + "/file"}, {}).outcome,
            HashedFile::Outcome::kGone);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(reader.Hash(*root, {.path = "large"}, stop.get_token()).outcome,
            HashedFile::Outcome::kStopped);
}

TEST_F(TreeWalkTest, AFileThatNeverSettlesIsToldSo) {
  WriteFile(File("busy"), std::string(8 << 20, 'x'));
  const auto root = Root(directory_.path());
  std::jthread writer([&](const std::stop_token& stop) {
    const UniqueFd fd(open(File("busy").c_str(), O_WRONLY));
    while (!stop.stop_requested()) {
      if (pwrite(fd.get(), "y", 1, 0) != 1) return;
    }
  });
  FileReader reader;
  EXPECT_EQ(reader.Hash(*root, {.path = "busy"}, {}).outcome, HashedFile::Outcome::kUnsettled);
  writer.request_stop();
  writer.join();
  const HashedFile settled = reader.Hash(*root, {.path = "busy"}, {});
  EXPECT_EQ(settled.outcome, HashedFile::Outcome::kHashed);
  EXPECT_EQ(settled.row.size, 8 << 20);
}

TEST_F(TreeWalkTest, AContentThatIsNotAsExpectedIsNotFinished) {
  WriteFile(File("file"), std::string(kFilePieceBytes + 10, 'x'));
  const auto root = Root(directory_.path());
  FileReader reader;
  const HashedFile hashed = reader.Hash(*root, {.path = "file"}, {});
  const auto send = [&](const FileReader::Expected& expected, std::string& sent) {
    sent.clear();
    bool was_last = false;
    const bool is_sent =
        reader.Send(*root, {.path = "file"}, expected, [&](absl::string_view piece, bool is_last) {
          EXPECT_FALSE(was_last);
          was_last = is_last;
          sent.append(piece.data(), piece.size());
          return true;
        });
    EXPECT_EQ(is_sent, was_last);
    return is_sent;
  };
  std::string sent;
  EXPECT_TRUE(send({.row = hashed.row, .sha256 = hashed.sha256}, sent));
  EXPECT_EQ(sent, std::string(kFilePieceBytes + 10, 'x'));
  EXPECT_TRUE(send({.row = hashed.row, .sha256 = ""}, sent));
  // The same size, another content.
  std::ofstream(File("file")) << std::string(kFilePieceBytes + 9, 'x') << "y";
  EXPECT_FALSE(send({.row = hashed.row, .sha256 = hashed.sha256}, sent));
  FileRow other = hashed.row;
  other.ctime_ns -= 1;
  EXPECT_FALSE(send({.row = other, .sha256 = ""}, sent));
  EXPECT_EQ(truncate(File("file").c_str(), 5), 0);
  EXPECT_FALSE(send({.row = hashed.row, .sha256 = hashed.sha256}, sent));
}

}  // namespace
}  // namespace contree::gateway
