#include "local-backend/sandbox/microvm.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

constexpr char kMark[] = "mark-of-the-test";

MicrovmOptions Machine() {
  // Emulated on every machine: what is tested is the same, and a /dev/kvm may be of no use.
  return {.accelerator = VmAccelerator::kSoftware, .mark = kMark};
}

SandboxLauncher::Options LauncherOptions(MicrovmOptions machine) {
  return {.mount_point = NewTestDirectory(),
          .limits = kTestLimits,
          .cgroups = TestCgroups(),
          .microvm = std::move(machine)};
}

// Real virtual machines, or a skipped test that says what is missing.
class MicrovmTest : public testing::Test {
 protected:
  static absl::Status Missing() {
    const auto qemu = FindQemu("qemu-system-x86_64");
    if (!qemu.ok()) return qemu.status();
    const auto virtiofsd = FindVirtiofsd("");
    if (!virtiofsd.ok()) return virtiofsd.status();
    return FindGuestKernel("").status();
  }
  static void SetUpTestSuite() {
    if (!Missing().ok()) return;
    auto created = SandboxLauncher::Create(LauncherOptions(Machine()));
    ASSERT_OK(created);
    launcher_ = created->release();
  }
  static void TearDownTestSuite() {
    delete launcher_;
    launcher_ = nullptr;
  }
  void SetUp() override {
    if (const absl::Status missing = Missing(); !missing.ok()) GTEST_SKIP() << missing.message();
    ASSERT_NE(launcher_, nullptr);
  }

  static SandboxRun Run(const SandboxSpec& spec) { return RunSandbox(*launcher_, spec); }
  static SandboxRun Run(const std::string& script) { return Run(TestShell(script)); }

  static SandboxLauncher* launcher_;
};
SandboxLauncher* MicrovmTest::launcher_ = nullptr;

TEST_F(MicrovmTest, TheTrialSucceeds) {
  EXPECT_OK(ProbeMicrovm(*launcher_, NewTestDirectory(), NewTestDirectory(), kMark));
}

TEST_F(MicrovmTest, TheTrialFailsOnAnotherKernel) {
  EXPECT_THAT(ProbeMicrovm(TestLauncher(), NewTestDirectory(), NewTestDirectory(), kMark),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("is not that of its virtual machine")));
}

TEST_F(MicrovmTest, WhatCannotStartSaysWhy) {
  MicrovmOptions machine = Machine();
  machine.qemu = "/bin/busybox";
  const auto launcher = SandboxLauncher::Create(LauncherOptions(machine));
  ASSERT_OK(launcher);
  EXPECT_THAT(ProbeMicrovm(**launcher, NewTestDirectory(), NewTestDirectory(), kMark),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("QEMU with exit code"), HasSubstr("applet not found"))));
}

TEST_F(MicrovmTest, AGuestThatDoesNotStartInTimeIsGivenUp) {
  MicrovmOptions machine = Machine();
  machine.start_limit = absl::Milliseconds(50);
  const auto launcher = SandboxLauncher::Create(LauncherOptions(machine));
  ASSERT_OK(launcher);
  EXPECT_THAT(ProbeMicrovm(**launcher, NewTestDirectory(), NewTestDirectory(), kMark),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("did not start in 50ms")));
}

TEST_F(MicrovmTest, AGuestThatPanicsEndsAndSaysWhy) {
  MicrovmOptions machine = Machine();
  machine.mark = "none rdinit=/no/init";
  const auto launcher = SandboxLauncher::Create(LauncherOptions(machine));
  ASSERT_OK(launcher);
  EXPECT_THAT(ProbeMicrovm(**launcher, NewTestDirectory(), NewTestDirectory(), "none"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("QEMU with exit code 0"), HasSubstr("Kernel panic"))));
}

TEST_F(MicrovmTest, AFileThatIsNoKernelIsRefused) {
  MicrovmOptions machine = Machine();
  machine.kernel.kernel = "/bin/busybox";
  EXPECT_THAT(SandboxLauncher::Create(LauncherOptions(machine)).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("/bin/busybox: it is not a Linux kernel for x86")));
}

TEST_F(MicrovmTest, AKernelWithoutWhatIsNeededIsRefused) {
  MicrovmOptions machine = Machine();
  machine.kernel.modules = NewTestDirectory();
  EXPECT_THAT(SandboxLauncher::Create(LauncherOptions(machine)).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has no module virtio")));
}

TEST(MicrovmLauncherTest, WhatIsNotThereSaysWhatToInstall) {
  EXPECT_THAT(FindQemu("no-such-qemu"), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                 HasSubstr("install the package qemu-system-x86")));
  EXPECT_THAT(FindVirtiofsd("/no/virtiofsd"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("install the package qemu-system-common")));
  EXPECT_THAT(FindGuestKernel("/no/kernel"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--vm-kernel")));
}

TEST(MicrovmCommandTest, TheMachineHasWhatTheRunMayTake) {
  const std::string command = absl::StrJoin(
      MicrovmCommand({.bubblewrap = "/bwrap",
                      .qemu = "/q",
                      .virtiofsd = "/v",
                      .root = "/root",
                      .hostname = "box",
                      .limits = {.memory_bytes = int64_t{640} << 20, .processes = 7, .cpus = 0.5},
                      .mark = "m"}),
      " ");
  // The run's, a record for each page of it, and what the kernel itself takes.
  EXPECT_THAT(command, HasSubstr(" -m 778M "));
  EXPECT_THAT(command, HasSubstr(" -smp 1 "));
  EXPECT_THAT(command, HasSubstr(" box 671088640 7 -- "));
  EXPECT_THAT(command, HasSubstr("-accel tcg"));
  EXPECT_THAT(command, Not(HasSubstr("kvm")));
}

TEST_F(MicrovmTest, TheCommandGetsWhatItWasGiven) {
  SandboxSpec spec = TestShell("pwd; id -u; id -g; hostname; echo $FOO; cat; echo err >&2; exit 7");
  spec.cwd = "/made/for/it";
  spec.uid = 1000;
  spec.gid = 1001;
  spec.hostname = "a-name";
  spec.environment.emplace_back("FOO=two words");
  spec.stdin_bytes = "from stdin\n";
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "/made/for/it\n1000\n1001\na-name\ntwo words\nfrom stdin\n") << result.err;
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.exit->exit_code, 7);
  EXPECT_EQ(result.exit->signal, -1);
  EXPECT_GT(result.exit->pid, 1);
  EXPECT_GT(result.exit->elapsed, absl::ZeroDuration());
}

TEST_F(MicrovmTest, SignalsAreReported) {
  const SandboxRun result = Run("kill -SEGV $$");
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->signal, SIGSEGV);
  EXPECT_EQ(result.exit->exit_code, -1);
}

TEST_F(MicrovmTest, ACommandThatIsNotThereIsExitCode127) {
  const SandboxRun result = Run(TestSpec({TestBusyboxLayer()}, {"no-such-command"}));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->exit_code, 127);
  EXPECT_THAT(result.err, HasSubstr("no-such-command"));
}

TEST_F(MicrovmTest, MuchInputAndOutputArrivesWhole) {
  SandboxSpec spec = TestShell("cat");
  spec.stdin_bytes = std::string(3'000'000, 'x');
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, spec.stdin_bytes);
}

TEST_F(MicrovmTest, TheTimeoutEndsEverythingAndDoesNotCountTheStart) {
  SandboxSpec spec = TestShell("echo begun > /begun; sleep 1000 & sleep 1000");
  spec.timeout = absl::Seconds(1);
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_TRUE(result.exit->timed_out);
  EXPECT_EQ(result.exit->signal, SIGKILL);
  EXPECT_GE(result.exit->elapsed, absl::Seconds(1));
  EXPECT_EQ(FileContent(spec.root.upper + "/begun"), "begun\n");
}

TEST_F(MicrovmTest, CancellingEndsEverything) {
  CancelEvent cancel;
  const SandboxRun result =
      RunSandbox(*launcher_, TestShell("echo started; sleep 1000"), cancel,
                 {.on_output = [&cancel](OutputStream, absl::string_view) { cancel.Cancel(); }});
  EXPECT_THAT(result.exit, StatusIs(absl::StatusCode::kCancelled, testing::_));
}

TEST_F(MicrovmTest, ChangesAreInTheUpperDirectoryAndNothingElse) {
  const std::string base = NewTestDirectory();
  std::ofstream(base + "/gone") << "x";
  std::ofstream(base + "/kept") << "old";
  mkdir((base + "/tmp").c_str(), 0755);
  mkdir((base + "/dev").c_str(), 0755);
  mkdir((base + "/proc").c_str(), 0755);
  SandboxSpec spec = TestSpec({base, TestBusyboxLayer()},
                              {"/bin/sh", "-c",
                               "rm /gone; echo new > /kept; mkdir /d; echo in > /d/file; "
                               "chown 1000:1001 /d/file; chmod 4750 /d/file; ln -s file /d/link; "
                               "ln /d/file /d/hard; echo t > /tmp/t; mkfifo /d/fifo; "
                               "dd if=/dev/zero of=/d/much bs=1M count=8 2>/dev/null"});
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->exit_code, 0) << result.err;
  const std::string& upper = spec.root.upper;
  EXPECT_THAT(EntryNames(upper), UnorderedElementsAre("gone", "kept", "d", "tmp"));
  EXPECT_EQ(FileContent(upper + "/kept"), "new\n");
  EXPECT_EQ(FileContent(upper + "/d/file"), "in\n");
  EXPECT_EQ(FileContent(upper + "/d/much"), std::string(8 << 20, '\0'));
  EXPECT_EQ(FileContent(upper + "/tmp/t"), "t\n");
  struct stat info;
  ASSERT_EQ(lstat((upper + "/gone").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode) && info.st_rdev == 0) << "no whiteout";
  ASSERT_EQ(lstat((upper + "/d/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);
  EXPECT_EQ(info.st_gid, 1001U);
  EXPECT_EQ(info.st_mode & 07777, 04750U);
  EXPECT_EQ(info.st_nlink, 2U);
  ASSERT_EQ(lstat((upper + "/d/fifo").c_str(), &info), 0);
  EXPECT_TRUE(S_ISFIFO(info.st_mode));
  EXPECT_EQ(std::filesystem::read_symlink(upper + "/d/link"), "file");
}

TEST_F(MicrovmTest, ARunThatWritesNothingLeavesNothing) {
  // An image that has the places that are mounted on.
  const std::string base = NewTestDirectory();
  mkdir((base + "/dev").c_str(), 0755);
  mkdir((base + "/proc").c_str(), 0755);
  const SandboxSpec spec =
      TestSpec({base, TestBusyboxLayer()},
               {"/bin/sh", "-c", "ls -R /bin > /dev/null; cat /bin/busybox | wc -c"});
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_THAT(EntryNames(spec.root.upper), ElementsAre());
}

// What a shared file system easily gets wrong.
TEST_F(MicrovmTest, FilesThatHaveNoNameAnyMoreStayOpen) {
  const SandboxRun result =
      Run("exec 3<>/f; rm /f; echo unlinked >&3; cat /proc/self/fd/3; "
          "mkdir /d; echo 1 > /d/a; mv /d /e; cat /e/a; chmod 600 /e/a; stat -c %a /e/a");
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "unlinked\n1\n600\n") << result.err;
}

TEST_F(MicrovmTest, FilesDoWhatProgramsCountOn) {
  const SandboxRun result = Run(TestSpec({FileFeaturesLayer()}, {"/features", "/tried"}));
  ASSERT_OK(result.exit);
  // FUSE has them since Linux 6.2, and only some virtiofsd.
  EXPECT_THAT(FailedFeatures(result.out),
              testing::IsSubsetOf({std::string("temporary files: open: Operation not supported")}));
}

TEST_F(MicrovmTest, ProcessesBesideTheCommand) {
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
      [&](const absl::StatusOr<SandboxExit>&) { main_ended.Notify(); });
  ASSERT_OK(running);
  started.WaitForNotification();
  ProcessSpec process;
  // What it said last comes before its end, though somebody else holds its pipes.
  process.argv = {"/bin/sh", "-c",
                  "id -u; cat; sleep 1000 & dd if=/dev/zero bs=1k count=200 2>/dev/null; exit 3"};
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
  EXPECT_EQ(out, absl::StrCat("42\nbeside\n", std::string(200 * 1024, '\0')));
  EXPECT_EQ(side.exit_code, 3);
  ASSERT_OK((*running)->WriteStdin(kMainProcess, "a line\n", true));
  main_ended.WaitForNotification();
  EXPECT_EQ(main_out, "main: a line\n");
}

TEST_F(MicrovmTest, TooMuchMemoryEndsOneProcessAndTheRestGoesOn) {
  // tail keeps what has no line end in memory.
  const SandboxRun result = Run("tail /dev/zero; echo $?");
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "137\n");
  EXPECT_THAT(result.err, HasSubstr("out of memory: a run may have 268435456 bytes"));
  EXPECT_EQ(result.exit->out_of_memory_kills, 1);
}

TEST_F(MicrovmTest, TooManyProcessesAreRefusedAndItSaysSo) {
  const SandboxRun result =
      Run("i=0; while [ $i -lt 450 ]; do sleep 1000 & i=$((i+1)); done 2>/dev/null; "
          "ls /proc | grep -c '^[0-9]*$'; kill -9 -1");
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.err, HasSubstr("too many processes: a run may have 400"));
}

TEST_F(MicrovmTest, TooMuchOnTheDiskEndsTheRun) {
  SandboxSpec spec = TestShell(
      "i=0; while :; do dd if=/dev/zero of=/f$i bs=1M count=8 2>/dev/null; "
      "i=$((i+1)); done");
  spec.disk_bytes = 16 << 20;
  const SandboxRun result = Run(spec);
  ASSERT_OK(result.exit);
  EXPECT_GT(result.exit->written_bytes, 16 << 20);
  EXPECT_EQ(result.exit->signal, SIGKILL);
}

// What tries to get out.

TEST_F(MicrovmTest, NothingOfTheMachineIsInReach) {
  const SandboxRun result =
      Run("cat /proc/version; cat /etc/machine-id /proc/1/root/etc/machine-id /qemu /image/bin/sh "
          "/sandbox_init 2>&1; ls / /../ /proc/1/root/ /proc/1/cwd/; ls /dev; cat /proc/mounts; "
          "ls /proc | grep -c '^[0-9]*$'; cat /proc/net/dev; cat /proc/1/mem 2>&1; "
          "echo x > /proc/1/fd/3; echo done");
  ASSERT_OK(result.exit);
  const std::string here = FileContent("/proc/version");
  ASSERT_FALSE(here.empty());
  EXPECT_THAT(result.out, Not(HasSubstr(here)));
  EXPECT_THAT(result.out, HasSubstr("Linux version"));
  for (const char* name : {"/etc/machine-id", "/qemu", "/image/bin/sh", "/sandbox_init"}) {
    EXPECT_THAT(result.out, HasSubstr(absl::StrCat("can't open '", name)));
  }
  EXPECT_THAT(result.out, Not(HasSubstr("vport")));
  EXPECT_THAT(result.out, Not(HasSubstr("virtiofsd")));
  EXPECT_THAT(result.out, Not(HasSubstr(TestStateDirectory())));
  EXPECT_THAT(result.out, Not(HasSubstr("eth")));
  EXPECT_THAT(result.out, HasSubstr("done"));
}

TEST_F(MicrovmTest, WhatIsNotAllowedIsRefused) {
  const SandboxRun result =
      Run("for c in 'mount -t tmpfs none /mnt' 'umount /proc' 'hostname other' "
          "'mknod /disk b 8 0' 'mknod /mem c 1 1' 'mknod /port c 10 62' 'swapoff -a x' "
          "'reboot -f' 'poweroff -f' 'insmod /bin/busybox'; do "
          "mkdir -p /mnt; $c >/dev/null 2>&1 && echo ALLOWED: $c; done; "
          "echo c 2>/dev/null > /proc/sysrq-trigger && echo ALLOWED: sysrq; "
          "date -s 2000-01-01 >/dev/null 2>&1; test $(date +%Y) = 2000 && echo ALLOWED: date; "
          "echo end");
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "end\n") << result.err;
}

absl::Duration MedianOfTrue(SandboxLauncher& launcher, int rounds) {
  std::vector<absl::Duration> times;
  for (int i = 0; i < rounds; ++i) {
    const absl::Time began = absl::Now();
    EXPECT_OK(launcher.Run(TestSpec({TestBusyboxLayer()}, {"/bin/true"}), CancelEvent(), {}));
    times.push_back(absl::Now() - began);
  }
  std::nth_element(times.begin(), times.begin() + rounds / 2, times.end());
  return times[rounds / 2];
}

TEST_F(MicrovmTest, StartsInLessThanAMinute) {
  const absl::Duration here = MedianOfTrue(*launcher_, 5);
  std::cout << "/bin/true, p50: " << here
            << "; in the default tier: " << MedianOfTrue(TestLauncher(), 15) << std::endl;
  EXPECT_LT(here, absl::Minutes(1));
}

}  // namespace
}  // namespace contree
