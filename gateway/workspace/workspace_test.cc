#include "gateway/workspace/workspace.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::gateway {
namespace {

using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
}

std::string ReadAll(const UniqueFd& fd) {
  std::string text(1000, '\0');
  const ssize_t size = read(fd.get(), text.data(), text.size());
  text.resize(size < 0 ? 0 : static_cast<size_t>(size));
  return text;
}

// A directory that may be touched beside one that may not.
class WorkspaceTest : public testing::Test {
 protected:
  WorkspaceTest() : root_(directory_.File("root")), outside_(directory_.File("outside")) {
    std::filesystem::create_directories(root_ + "/sub");
    std::filesystem::create_directories(outside_);
    WriteFile(root_ + "/inside.txt", "inside");
    WriteFile(outside_ + "/secret.txt", "secret");
  }

  Workspace Confined() {
    absl::StatusOr<Workspace> workspace = Workspace::Below({root_});
    EXPECT_OK(workspace);
    return *std::move(workspace);
  }

  TempDirectory directory_;
  const std::string root_;
  const std::string outside_;
};

TEST_F(WorkspaceTest, WithoutRootsEverythingIsRefusedAndTheErrorSaysWhatToDo) {
  const Workspace workspace;
  EXPECT_THAT(workspace.OpenSource(root_),
              StatusIs(StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("--workspace-root"), HasSubstr("content_base64"))));
  EXPECT_THAT(workspace.OpenDestination(root_ + "/x"),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("--workspace-root")));
  ASSERT_OK_AND_ASSIGN(const Workspace empty, Workspace::Below({}));
  EXPECT_THAT(empty.OpenSource(root_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("--workspace-root")));
}

TEST_F(WorkspaceTest, TheUserReadsFilesAndDirectories) {
  const Workspace workspace = Workspace::OfUser();
  ASSERT_OK_AND_ASSIGN(const HostSource file, workspace.OpenSource(root_ + "/inside.txt"));
  EXPECT_EQ(ReadAll(file.fd), "inside");
  EXPECT_FALSE(file.is_directory);
  EXPECT_EQ(file.size, 6);
  ASSERT_OK_AND_ASSIGN(const HostSource directory, workspace.OpenSource(root_));
  EXPECT_TRUE(directory.is_directory);
  EXPECT_EQ(directory.path, std::filesystem::canonical(root_).string());
}

TEST_F(WorkspaceTest, OneThingHasOneName) {
  std::filesystem::create_directory_symlink(root_, directory_.File("link"));
  const Workspace workspace = Workspace::OfUser();
  ASSERT_OK_AND_ASSIGN(const HostSource a, workspace.OpenSource(directory_.File("link") + "/sub/"));
  ASSERT_OK_AND_ASSIGN(const HostSource b, workspace.OpenSource(root_ + "/./sub/../sub"));
  EXPECT_EQ(a.path, b.path);
}

TEST_F(WorkspaceTest, ATildeIsTheHomeOfTheUser) {
  const char* const home = getenv("HOME");
  const std::string before = home == nullptr ? "" : home;
  setenv("HOME", root_.c_str(), 1);
  const Workspace workspace = Workspace::OfUser();
  EXPECT_OK(workspace.OpenSource("~/inside.txt"));
  EXPECT_OK(workspace.OpenSource("~"));
  EXPECT_THAT(workspace.OpenSource("~nobody"),
              StatusIs(StatusCode::kNotFound, HasSubstr("~nobody")));
  setenv("HOME", before.c_str(), 1);
}

TEST_F(WorkspaceTest, ARelativePathBeginsAtTheWorkingDirectoryAndAnErrorSaysWhere) {
  const Workspace workspace = Workspace::OfUser();
  const std::string here = std::filesystem::current_path();
  EXPECT_THAT(workspace.OpenSource("no/such/file"),
              StatusIs(StatusCode::kNotFound, AllOf(HasSubstr("'no/such/file'"),
                                                    HasSubstr("relative paths begin at " + here))));
  EXPECT_THAT(workspace.OpenSource(root_ + "/nope"),
              StatusIs(StatusCode::kNotFound, HasSubstr(root_ + "/nope")));
}

TEST_F(WorkspaceTest, APathThatMakesNoSenseIsRefused) {
  const Workspace workspace = Workspace::OfUser();
  EXPECT_THAT(workspace.OpenSource(""), StatusIs(StatusCode::kInvalidArgument, HasSubstr("empty")));
  EXPECT_THAT(workspace.OpenSource(absl::string_view("/a\0b", 4)),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("NUL")));
  EXPECT_THAT(workspace.OpenSource("/" + std::string(5000, 'x')),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("too long")));
}

TEST_F(WorkspaceTest, ADeviceOrPipeIsNotOpened) {
  ASSERT_EQ(mkfifo((root_ + "/pipe").c_str(), 0600), 0);
  for (const std::string& path : {root_ + "/pipe", std::string("/dev/null")}) {
    EXPECT_THAT(Workspace::OfUser().OpenSource(path),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("a pipe or a socket")));
    EXPECT_THAT(Workspace::OfUser().OpenDestination(path),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("no regular file")));
  }
}

TEST_F(WorkspaceTest, ADestinationIsANewFileOrARegularOne) {
  const Workspace workspace = Workspace::OfUser();
  ASSERT_OK_AND_ASSIGN(const HostDestination fresh, workspace.OpenDestination(root_ + "/new"));
  EXPECT_EQ(fresh.name, "new");
  EXPECT_EQ(fresh.path, std::filesystem::canonical(root_).string() + "/new");
  EXPECT_OK(workspace.OpenDestination(root_ + "/inside.txt"));
  EXPECT_THAT(workspace.OpenDestination(root_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr(root_ + "/NAME")));
  EXPECT_THAT(workspace.OpenDestination(root_ + "/new/"),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("names a directory")));
  EXPECT_THAT(workspace.OpenDestination("/"),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("names a directory")));
  EXPECT_THAT(workspace.OpenDestination(root_ + "/missing/new"),
              StatusIs(StatusCode::kNotFound, HasSubstr("the directory of")));
  EXPECT_THAT(workspace.OpenDestination(root_ + "/inside.txt/new"),
              StatusIs(StatusCode::kNotFound, HasSubstr("the directory of")));
}

TEST_F(WorkspaceTest, ADestinationThatIsALinkIsRefusedAndTheLinkStays) {
  std::filesystem::create_symlink(outside_ + "/secret.txt", root_ + "/link");
  EXPECT_THAT(Workspace::OfUser().OpenDestination(root_ + "/link"),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("symbolic link")));
}

TEST_F(WorkspaceTest, BelowARootPathsAreAbsoluteOrBeginAtTheOnlyRoot) {
  const Workspace workspace = Confined();
  EXPECT_OK(workspace.OpenSource(root_ + "/inside.txt"));
  EXPECT_OK(workspace.OpenSource("inside.txt"));
  EXPECT_OK(workspace.OpenSource(root_));
  EXPECT_OK(workspace.OpenSource(root_ + "/sub/../inside.txt"));
  EXPECT_OK(workspace.OpenDestination("sub/new"));
  EXPECT_THAT(workspace.OpenDestination(root_),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("names a directory")));
  EXPECT_THAT(workspace.OpenSource("~/inside.txt"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("not absolute")));
  ASSERT_OK_AND_ASSIGN(const Workspace two, Workspace::Below({root_, outside_}));
  EXPECT_OK(two.OpenSource(outside_ + "/secret.txt"));
  EXPECT_THAT(two.OpenSource("inside.txt"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr(outside_)));
}

TEST_F(WorkspaceTest, NothingLeadsOutOfARoot) {
  std::filesystem::create_symlink(outside_ + "/secret.txt", root_ + "/absolute");
  std::filesystem::create_symlink("../outside/secret.txt", root_ + "/relative");
  std::filesystem::create_directory_symlink("../outside", root_ + "/directory");
  std::filesystem::create_directories(root_ + "-beside");
  WriteFile(root_ + "-beside/x", "x");
  const Workspace workspace = Confined();
  for (const std::string& path :
       {outside_ + "/secret.txt", root_ + "/../outside/secret.txt", std::string("../outside"),
        root_ + "/absolute", root_ + "/relative", root_ + "/directory/secret.txt",
        root_ + "/sub/../../outside/secret.txt", root_ + "-beside/x", std::string("/etc/passwd"),
        std::string("/")}) {
    EXPECT_THAT(workspace.OpenSource(path), StatusIs(StatusCode::kFailedPrecondition,
                                                     AllOf(HasSubstr("outside"), HasSubstr(root_))))
        << path;
  }
  for (const std::string& path :
       {outside_ + "/new", root_ + "/../new", root_ + "/directory/new", std::string("../new")}) {
    EXPECT_THAT(workspace.OpenDestination(path),
                StatusIs(StatusCode::kFailedPrecondition, HasSubstr("outside")))
        << path;
  }
}

TEST_F(WorkspaceTest, ALinkThatStaysBelowItsRootIsFollowed) {
  std::filesystem::create_symlink("../inside.txt", root_ + "/sub/link");
  ASSERT_OK_AND_ASSIGN(const HostSource source, Confined().OpenSource(root_ + "/sub/link"));
  EXPECT_EQ(ReadAll(source.fd), "inside");
}

TEST_F(WorkspaceTest, ARootMayBeNamedThroughALinkAndUsedByBothNames) {
  std::filesystem::create_directory_symlink(root_, directory_.File("link"));
  ASSERT_OK_AND_ASSIGN(const Workspace workspace, Workspace::Below({directory_.File("link/")}));
  EXPECT_OK(workspace.OpenSource(directory_.File("link") + "/inside.txt"));
  EXPECT_OK(workspace.OpenSource(root_ + "/inside.txt"));
}

TEST_F(WorkspaceTest, TheWholeMachineMayBeARoot) {
  ASSERT_OK_AND_ASSIGN(const Workspace workspace, Workspace::Below({"/"}));
  EXPECT_OK(workspace.OpenSource(root_ + "/inside.txt"));
  EXPECT_OK(workspace.OpenDestination(root_ + "/new"));
}

TEST_F(WorkspaceTest, OverStdioTheUsersFilesUnlessRootsSayLess) {
  ASSERT_OK_AND_ASSIGN(const Workspace user, Workspace::Choose(/*is_stdio=*/true, {}));
  EXPECT_OK(user.OpenSource(outside_ + "/secret.txt"));
  for (const bool is_stdio : {true, false}) {
    ASSERT_OK_AND_ASSIGN(const Workspace below, Workspace::Choose(is_stdio, {root_}));
    EXPECT_OK(below.OpenSource(root_ + "/inside.txt"));
    EXPECT_FALSE(below.OpenSource(outside_ + "/secret.txt").ok());
  }
  ASSERT_OK_AND_ASSIGN(const Workspace none, Workspace::Choose(/*is_stdio=*/false, {}));
  EXPECT_FALSE(none.OpenSource(root_ + "/inside.txt").ok());
}

TEST_F(WorkspaceTest, ARootThatCannotBeOpenedIsRefused) {
  EXPECT_THAT(Workspace::Below({root_, root_ + "/nope"}),
              StatusIs(StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("--workspace-root"), HasSubstr(root_ + "/nope"))));
  EXPECT_THAT(Workspace::Below({root_ + "/inside.txt"}),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("inside.txt")));
}

}  // namespace
}  // namespace contree::gateway
