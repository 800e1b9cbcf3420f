#include "local-backend/sandbox/zygote.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/bubblewrap.h"
#include "local-backend/sandbox/network_namespace.h"
#include "local-backend/sandbox/overlay.h"
#include "local-backend/sandbox/sandbox_init_image.h"
#include "local-backend/sandbox/seccomp_filter.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::IsSubsetOf;
using testing::Not;

std::string ReadToEnd(int fd) {
  std::string all;
  char buffer[4096];
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) all.append(buffer, static_cast<size_t>(got));
  return all;
}

// Children of this process with that name.
std::vector<pid_t> ChildrenNamed(absl::string_view name) {
  std::vector<pid_t> found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream children(task.path() / "children");
    pid_t pid;
    while (children >> pid) {
      std::ifstream file(absl::StrCat("/proc/", pid, "/cmdline"), std::ios::binary);
      std::string command;
      std::getline(file, command, '\0');
      if (command == name) found.push_back(pid);
    }
  }
  return found;
}

class ZygoteTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(parent_, EventLoop::Start());
    ASSERT_OK_AND_ASSIGN(bubblewrap_, FindBubblewrap("bwrap"));
    ASSERT_OK_AND_ASSIGN(network_, MakeNetworkNamespace(/*with_tap=*/false));
    ASSERT_OK_AND_ASSIGN(root_, MountOverlay({.layers = {TestBusyboxLayer()},
                                              .upper = "",
                                              .work = "",
                                              .empty_directory = NewTestDirectory()}));
  }

  absl::StatusOr<std::unique_ptr<Zygote>> Start(const std::string& bubblewrap) {
    ASSIGN_OR_RETURN(UniqueFd filter, MakeSeccompFilter());
    ASSIGN_OR_RETURN(UniqueFd init, MakeSandboxInitFile());
    return Zygote::Start(*parent_, NewTestDirectory(), {bubblewrap}, std::move(filter),
                         std::move(init));
  }

  struct Outcome {
    int wait_status = -1;
    std::string stderr_text;
  };
  // To its end.
  absl::StatusOr<Outcome> Run(Zygote& zygote, const std::vector<std::string>& command) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
    const UniqueFd ours(ends[0]);
    UniqueFd theirs(ends[1]);
    const UniqueFd control(open("/dev/null", O_RDWR | O_CLOEXEC));
    ASSIGN_OR_RETURN(const pid_t pid, zygote.Fork({.command = command,
                                                   .root = root_.get(),
                                                   .network = network_.fd.get(),
                                                   .control = control.get(),
                                                   .diagnostics = theirs.get()}));
    theirs.Reset();
    Outcome outcome;
    outcome.stderr_text = ReadToEnd(ours.get());
    // The overlay was attached in a namespace that is gone, and can be attached again.
    if (waitpid(pid, &outcome.wait_status, 0) != pid) return absl::InternalError("no child");
    return outcome;
  }

  std::unique_ptr<EventLoop> parent_;
  std::string bubblewrap_;
  NetworkNamespace network_;
  UniqueFd root_;
};

TEST_F(ZygoteTest, ShowsBubblewrapNoMoreThanItNeeds) {
  ASSERT_OK_AND_ASSIGN(const auto zygote, Start(bubblewrap_));
  EXPECT_TRUE(zygote->has_own_root());
  ASSERT_OK_AND_ASSIGN(const Outcome listed,
                       Run(*zygote, {"/bin/sh", "-c", "ls / >&2; echo >&2; ls /sandbox >&2"}));
  EXPECT_EQ(listed.wait_status, 0);
  const std::vector<std::string> parts = absl::StrSplit(listed.stderr_text, "\n\n");
  ASSERT_EQ(parts.size(), 2u) << listed.stderr_text;
  EXPECT_THAT(std::vector<std::string>(absl::StrSplit(parts[0], '\n')),
              IsSubsetOf({"bin", "dev", "etc", "lib", "lib32", "lib64", "proc", "sandbox", "sbin",
                          "tmp", "usr"}));
  EXPECT_THAT(parts[1], HasSubstr("bin\n"));  // the image
}

TEST_F(ZygoteTest, ABubblewrapFromElsewhereRunsAmongTheHostsFiles) {
  const std::string copy = absl::StrCat(NewTestDirectory(), "/bwrap");
  std::filesystem::copy_file(bubblewrap_, copy);
  ASSERT_OK_AND_ASSIGN(const auto zygote, Start(copy));
  EXPECT_FALSE(zygote->has_own_root());
  ASSERT_OK_AND_ASSIGN(const Outcome version, Run(*zygote, {copy, "--no-such-option"}));
  EXPECT_THAT(version.stderr_text, HasSubstr("Unknown option --no-such-option"));
  ASSERT_OK_AND_ASSIGN(
      const auto launcher,
      SandboxLauncher::Create(
          {.bubblewrap = copy, .mount_point = NewTestDirectory(), .limits = kTestLimits}));
  const CancelEvent never;
  ASSERT_OK_AND_ASSIGN(const SandboxExit exit,
                       launcher->Run(TestSpec({TestBusyboxLayer()}, {"/bin/true"}), never, {}));
  EXPECT_EQ(exit.exit_code, 0);
}

TEST_F(ZygoteTest, WhatCannotBeExecutedComplains) {
  ASSERT_OK_AND_ASSIGN(const auto zygote, Start(bubblewrap_));
  ASSERT_OK_AND_ASSIGN(const Outcome missing, Run(*zygote, {"/nowhere/bwrap"}));
  EXPECT_NE(missing.wait_status, 0);
  EXPECT_EQ(missing.stderr_text, "/nowhere/bwrap: No such file or directory\n");
}

TEST_F(ZygoteTest, GivesNoneOfOurEnvironmentOn) {
  setenv("CONTREE_TOKEN", "secret", 1);
  ASSERT_OK_AND_ASSIGN(const auto zygote, Start(bubblewrap_));
  ASSERT_OK_AND_ASSIGN(const Outcome seen, Run(*zygote, {"/bin/sh", "-c", "export -p >&2"}));
  unsetenv("CONTREE_TOKEN");
  EXPECT_THAT(seen.stderr_text, Not(HasSubstr("secret")));
}

TEST_F(ZygoteTest, AnotherTakesThePlaceOfOneThatDied) {
  ASSERT_OK_AND_ASSIGN(const auto zygote, Start(bubblewrap_));
  const std::vector<pid_t> before = ChildrenNamed("contree-zygote");
  ASSERT_FALSE(before.empty());
  kill(before.back(), SIGKILL);
  ASSERT_OK_AND_ASSIGN(const Outcome after, Run(*zygote, {"/bin/sh", "-c", "echo alive >&2"}));
  EXPECT_EQ(after.stderr_text, "alive\n");
}

TEST_F(ZygoteTest, EndsWithItsOwner) {
  const size_t others = ChildrenNamed("contree-zygote").size();
  {
    ASSERT_OK_AND_ASSIGN(const auto zygote, Start(bubblewrap_));
    EXPECT_EQ(ChildrenNamed("contree-zygote").size(), others + 1);
  }
  EXPECT_EQ(ChildrenNamed("contree-zygote").size(), others);
}

}  // namespace
}  // namespace contree
