#include "local-backend/sandbox/gvisor.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/isolation_probe.h"
#include "local-backend/sandbox/sandbox.h"
#include "local-backend/testing/file_features_layer.h"
#include "local-backend/testing/namespace_test_main.h"
#include "local-backend/testing/sandbox_run.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

// The real runsc, or a skipped test that says why.
class GvisorTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!FindRunsc("runsc").ok() || TestCgroups() == nullptr) return;
    auto created = SandboxLauncher::Create({.mount_point = NewTestDirectory(),
                                            .limits = kTestLimits,
                                            .cgroups = TestCgroups(),
                                            .runsc = "runsc",
                                            .skeleton = NewTestDirectory()});
    ASSERT_OK(created);
    launcher_ = created->release();
  }
  static void TearDownTestSuite() {
    delete launcher_;
    launcher_ = nullptr;
  }
  void SetUp() override {
    if (!FindRunsc("runsc").ok()) GTEST_SKIP() << "there is no runsc here: install it";
    if (TestCgroups() == nullptr) GTEST_SKIP() << "the tier needs cgroups, and there are none here";
    ASSERT_NE(launcher_, nullptr);
  }

  static SandboxRun Run(const SandboxSpec& spec) { return RunSandbox(*launcher_, spec); }
  static SandboxRun Run(const std::string& script) { return Run(TestShell(script)); }

  static SandboxLauncher* launcher_;
};
SandboxLauncher* GvisorTest::launcher_ = nullptr;

TEST_F(GvisorTest, TheTrialSucceeds) {
  EXPECT_OK(ProbeGvisor(*launcher_, NewTestDirectory(), NewTestDirectory()));
}

TEST_F(GvisorTest, TheTrialFailsOnAnotherKernel) {
  EXPECT_THAT(ProbeGvisor(TestLauncher(), NewTestDirectory(), NewTestDirectory()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cannot be isolated")));
}

TEST_F(GvisorTest, WhatCannotStartSaysWhy) {
  // Something that is no runsc.
  const auto launcher = SandboxLauncher::Create({.mount_point = NewTestDirectory(),
                                                 .limits = kTestLimits,
                                                 .cgroups = TestCgroups(),
                                                 .runsc = "/bin/busybox",
                                                 .skeleton = NewTestDirectory()});
  ASSERT_OK(launcher);
  EXPECT_THAT(ProbeGvisor(**launcher, NewTestDirectory(), NewTestDirectory()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("applet not found")));
}

TEST(GvisorLauncherTest, AMissingRunscSaysWhatToInstall) {
  EXPECT_THAT(FindRunsc("no-such-runsc"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                   HasSubstr("install the package runsc")));
}

TEST_F(GvisorTest, NeedsCgroups) {
  EXPECT_THAT(SandboxLauncher::Create({.mount_point = NewTestDirectory(),
                                       .limits = kTestLimits,
                                       .runsc = "runsc",
                                       .skeleton = NewTestDirectory()})
                  .status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("needs cgroups")));
}

TEST_F(GvisorTest, ReportsOutputAndExitCode) {
  const SandboxRun result = Run("echo out; echo err >&2; exit 7");
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.exit->exit_code, 7);
  EXPECT_EQ(result.exit->signal, -1);
  EXPECT_GT(result.exit->pid, 1);
  EXPECT_GT(result.exit->elapsed, absl::ZeroDuration());
  EXPECT_GT(result.exit->usage.user_microseconds + result.exit->usage.system_microseconds, 0);
}

TEST_F(GvisorTest, SignalsAreReported) {
  const SandboxRun result = Run("kill -SEGV $$");
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->signal, SIGSEGV);
  EXPECT_EQ(result.exit->exit_code, -1);
}

TEST_F(GvisorTest, ACommandThatIsNotThereIsExitCode127) {
  const SandboxRun result = Run(TestSpec({TestBusyboxLayer()}, {"no-such-command"}));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->exit_code, 127);
  EXPECT_THAT(result.err, HasSubstr("no-such-command"));
}

TEST_F(GvisorTest, TheCommandGetsWhatItWasGiven) {
  SandboxSpec spec = TestShell("pwd; id -u; id -g; hostname; echo $FOO; cat");
  spec.cwd = "/made/for/it";
  spec.uid = 1000;
  spec.gid = 1001;
  spec.hostname = "a-name";
  spec.environment.emplace_back("FOO=two words");
  spec.stdin_bytes = "from stdin\n";
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "/made/for/it\n1000\n1001\na-name\ntwo words\nfrom stdin\n") << result.err;
}

TEST_F(GvisorTest, MuchInputAndOutputArrivesWhole) {
  SandboxSpec spec = TestShell("cat");
  spec.stdin_bytes = std::string(3'000'000, 'x');
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, spec.stdin_bytes);
}

TEST_F(GvisorTest, TheTimeoutEndsEverything) {
  SandboxSpec spec = TestShell("sleep 1000 & sleep 1000");
  spec.timeout = absl::Seconds(2);
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_TRUE(result.exit->timed_out);
  EXPECT_EQ(result.exit->signal, SIGKILL);
}

TEST_F(GvisorTest, CancellingEndsEverything) {
  CancelEvent cancel;
  const SandboxRun result =
      RunSandbox(*launcher_, TestShell("echo started; sleep 1000"), cancel,
                 {.on_output = [&cancel](OutputStream, absl::string_view) { cancel.Cancel(); }});
  EXPECT_THAT(result.exit, StatusIs(absl::StatusCode::kCancelled, testing::_));
}

TEST_F(GvisorTest, ChangesAreInTheUpperDirectoryAndNothingElse) {
  const std::string base = NewTestDirectory();
  std::ofstream(base + "/gone") << "x";
  std::ofstream(base + "/kept") << "old";
  mkdir((base + "/tmp").c_str(), 0755);
  SandboxSpec spec = TestSpec({base, TestBusyboxLayer()},
                              {"/bin/sh", "-c",
                               "rm /gone; echo new > /kept; mkdir /d; echo in > /d/file; "
                               "chown 1000:1001 /d/file; chmod 4750 /d/file; ln -s file /d/link; "
                               "ln /d/file /d/hard; echo t > /tmp/t"});
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->exit_code, 0) << result.err;
  const std::string& upper = spec.root.upper;
  EXPECT_THAT(EntryNames(upper), UnorderedElementsAre("gone", "kept", "d", "tmp"));
  EXPECT_EQ(FileContent(upper + "/kept"), "new\n");
  EXPECT_EQ(FileContent(upper + "/d/file"), "in\n");
  EXPECT_EQ(FileContent(upper + "/tmp/t"), "t\n");
  struct stat info;
  ASSERT_EQ(lstat((upper + "/gone").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode) && info.st_rdev == 0) << "no whiteout";
  ASSERT_EQ(lstat((upper + "/d/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  EXPECT_EQ(info.st_gid, 1001U);
  EXPECT_EQ(info.st_mode & 07777, 04750U);
  EXPECT_EQ(info.st_nlink, 2U);
  EXPECT_EQ(std::filesystem::read_symlink(upper + "/d/link"), "file");
}

// As gVisor has it: they live in its kernel and end with the run.
TEST_F(GvisorTest, NamedPipesWorkAndAreNotKept) {
  const SandboxSpec spec = TestShell("mkfifo /fifo && (echo through > /fifo & cat /fifo)");
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "through\n");
  EXPECT_THAT(EntryNames(spec.root.upper), ElementsAre());
}

TEST_F(GvisorTest, ARunThatWritesNothingLeavesNothing) {
  const SandboxSpec spec = TestShell("ls -R /bin > /dev/null; cat /bin/busybox | wc -c");
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_THAT(EntryNames(spec.root.upper), ElementsAre());
}

TEST_F(GvisorTest, FilesDoWhatProgramsCountOn) {
  const SandboxRun result = Run(TestSpec({FileFeaturesLayer()}, {"/features", "/tried"}));
  ASSERT_OK(result.exit);
  // Of the runsc that Debian has.
  EXPECT_THAT(
      FailedFeatures(result.out),
      ElementsAre("extended attributes: setxattr: Operation not supported",
                  "file capabilities: setxattr: Operation not supported",
                  "temporary files: open: Operation not supported", "unlinked files: it has links",
                  "renames: without replacing: Invalid argument",
                  "exchanging renames: renameat2: Invalid argument",
                  "holes: punch: Operation not supported"));
}

TEST_F(GvisorTest, ProcessesBesideTheCommand) {
  absl::Notification started, main_ended, side_ended;
  std::string out;
  SandboxExit side;
  SandboxSpec spec = TestShell("read line; echo main: $line");
  spec.stdin_stays_open = true;
  std::string main_out;
  CancelEvent never;
  const auto running = launcher_->Start(
      spec, never,
      {.on_started = [&](int) { started.Notify(); },
       .on_output = [&](OutputStream,
                        absl::string_view bytes) { absl::StrAppend(&main_out, bytes); }},
      [&](absl::StatusOr<SandboxExit>) { main_ended.Notify(); });
  ASSERT_OK(running);
  started.WaitForNotification();
  ProcessSpec process;
  process.argv = {"/bin/sh", "-c", "id -u; cat; exit 3"};
  process.environment = {"PATH=/bin"};
  process.uid = 42;
  process.gid = 42;
  process.stdin_bytes = "beside\n";
  ASSERT_OK((*running)->StartProcess(
      2, process,
      {.on_output = [&](OutputStream, absl::string_view bytes) { absl::StrAppend(&out, bytes); },
       .on_exited =
           [&](const SandboxExit& exit) {
             side = exit;
             side_ended.Notify();
           }}));
  side_ended.WaitForNotification();
  EXPECT_EQ(out, "42\nbeside\n");
  EXPECT_EQ(side.exit_code, 3);
  ASSERT_OK((*running)->WriteStdin(kMainProcess, "a line\n", true));
  main_ended.WaitForNotification();
  EXPECT_EQ(main_out, "main: a line\n");
}

TEST_F(GvisorTest, TooMuchMemoryEndsTheRun) {
  // tail keeps what has no line end in memory.
  const SandboxRun result = Run("tail /dev/zero; echo $?");
  if (!result.exit.ok()) {
    EXPECT_THAT(result.exit.status().message(), HasSubstr("out of memory"));
    return;
  }
  EXPECT_THAT(absl::StrCat(result.out, result.err, result.exit->signal),
              testing::AnyOf(HasSubstr("out of memory"), HasSubstr("137"), HasSubstr("9")));
  EXPECT_GT(result.exit->out_of_memory_kills, 0);
}

TEST_F(GvisorTest, TooMuchOnTheDiskEndsTheRun) {
  SandboxSpec spec = TestShell(
      "i=0; while :; do dd if=/dev/zero of=/f$i bs=1M count=8 2>/dev/null; "
      "i=$((i+1)); done");
  spec.disk_bytes = 16 << 20;
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_GT(result.exit->written_bytes, 16 << 20);
  EXPECT_EQ(result.exit->signal, SIGKILL);
}

TEST_F(GvisorTest, ImagesWhosePlacesAreNoDirectoriesAreRefused) {
  for (const char* place : {"dev", "tmp"}) {
    const std::string hostile = NewTestDirectory();
    ASSERT_EQ(symlink("/bin", absl::StrCat(hostile, "/", place).c_str()), 0);
    EXPECT_THAT(Run(TestSpec({hostile, TestBusyboxLayer()}, {"/bin/true"})).exit,
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         HasSubstr(absl::StrCat("/", place, " is not a directory"))));
  }
}

// What tries to get out.

TEST_F(GvisorTest, TheKernelIsGvisors) {
  const SandboxRun result = Run("dmesg; cat /proc/version");
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, HasSubstr("Starting gVisor"));
  const std::string host = FileContent("/proc/version");
  ASSERT_FALSE(host.empty());
  EXPECT_THAT(result.out, Not(HasSubstr(host)));
}

TEST_F(GvisorTest, NothingOfTheHostIsInReach) {
  const SandboxRun result =
      Run("ls /; ls /proc/1/root/ /proc/self/cwd/ /../; cat /etc/machine-id /runsc "
          "/bundle/config.json /proc/1/root/bundle/config.json /image/bin/busybox 2>&1; "
          "ls /proc/1/fd; ls /sys/class/net; cat /proc/mounts");
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, Not(HasSubstr("runsc\n")));
  EXPECT_THAT(result.out, Not(HasSubstr("ociVersion")));
  EXPECT_THAT(result.out, Not(HasSubstr(TestStateDirectory())));
  for (const char* name : {"/etc/machine-id", "/runsc", "/bundle/config.json"}) {
    EXPECT_THAT(result.out, HasSubstr(absl::StrCat("can't open '", name)));
  }
}

TEST_F(GvisorTest, OnlyItsOwnProcessesAreSeen) {
  const SandboxRun result =
      Run("ls /proc | grep -c '^[0-9]*$'; kill -0 $PPID && echo parent is init");
  ASSERT_OK(result.exit);
  EXPECT_LE(std::stoi(result.out), 4) << result.out;
}

TEST_F(GvisorTest, TheInitCannotBeTakenOver) {
  // Its socket to the backend.
  const SandboxRun result =
      Run("cat /proc/1/environ /proc/1/mem; echo x > /proc/1/fd/3; ls -l /proc/1/fd; echo done");
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, HasSubstr("done"));
  EXPECT_EQ(result.exit->exit_code, 0);
}

TEST_F(GvisorTest, WhatIsNotAllowedIsRefused) {
  const SandboxRun result =
      Run("for c in 'mount -t tmpfs none /mnt' 'umount /proc' 'hostname other' "
          "'mknod /disk b 8 0' 'mknod /mem c 1 1' 'chroot /proc/1/root /runsc' "
          "'rm /dev/contree/init' 'swapoff -a x' 'reboot -f'; do "
          "mkdir -p /mnt; $c >/dev/null 2>&1 && echo ALLOWED: $c; done; "
          // busybox complains, and has no exit code for it.
          "date -s 2000-01-01 >/dev/null 2>&1; test $(date +%Y) = 2000 && echo ALLOWED: date; "
          "echo end");
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "end\n");
}

TEST_F(GvisorTest, ThereIsNoNetworkButLoopback) {
  const SandboxRun result =
      Run("cat /proc/net/dev | grep -c :; nc -w 1 127.0.0.1 9 2>&1; nc -w 1 10.0.0.1 9 2>&1");
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, Not(HasSubstr("eth")));
  EXPECT_THAT(result.out, HasSubstr("nc: "));
}

absl::Duration MedianOfTrue(SandboxLauncher& launcher) {
  std::vector<absl::Duration> times;
  for (int i = 0; i < 15; ++i) {
    const absl::Time began = absl::Now();
    EXPECT_OK(launcher.Run(TestSpec({TestBusyboxLayer()}, {"/bin/true"}), CancelEvent(), {}));
    times.push_back(absl::Now() - began);
  }
  std::nth_element(times.begin(), times.begin() + 7, times.end());
  return times[7];
}

TEST_F(GvisorTest, StartsInLessThanTwoSeconds) {
  const absl::Duration here = MedianOfTrue(*launcher_);
  std::cout << "/bin/true, p50: " << here
            << "; in the default tier: " << MedianOfTrue(TestLauncher()) << std::endl;
  EXPECT_LT(here, absl::Seconds(2));
}

}  // namespace
}  // namespace contree
