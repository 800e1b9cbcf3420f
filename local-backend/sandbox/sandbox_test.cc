#include "local-backend/sandbox/sandbox.h"

#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/isolation_probe.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Result {
  absl::StatusOr<SandboxExit> exit = absl::UnknownError("not run");
  std::string out;
  std::string err;
};

Result RunSpec(const SandboxSpec& spec, const CancelEvent& cancel,
               std::function<void()> on_started = nullptr) {
  Result result;
  result.exit = TestLauncher().Run(
      spec, cancel,
      {.on_started =
           [&](int) {
             if (on_started) on_started();
           },
       .on_output =
           [&](OutputStream stream, absl::string_view bytes) {
             absl::StrAppend(stream == OutputStream::kStdout ? &result.out : &result.err, bytes);
           }});
  return result;
}

Result RunSpec(const SandboxSpec& spec) { return RunSpec(spec, CancelEvent()); }

SandboxSpec Shell(const std::string& script) {
  return TestSpec({TestBusyboxLayer()}, {"/bin/sh", "-c", script});
}

TEST(SandboxTest, ReportsOutputAndExitCode) {
  const Result result = RunSpec(Shell("echo out; echo err >&2; exit 7"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.exit->exit_code, 7);
  EXPECT_EQ(result.exit->signal, -1);
  EXPECT_FALSE(result.exit->timed_out);
  EXPECT_GT(result.exit->pid, 1);
  EXPECT_GT(result.exit->usage.max_rss_kilobytes, 0);
}

TEST(SandboxTest, CommandIsAloneInItsNamespaces) {
  const Result result = RunSpec(
      Shell("ps | grep -v ' ps' | wc -l; hostname; ls /sys/class/net 2>/dev/null | wc -l; cat "
            "/proc/net/dev | grep -c :; id -u; echo $$"));
  ASSERT_OK(result.exit);
  // Processes: a head line, init, the shell, grep and wc at most.
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
  ASSERT_EQ(lines.size(), 7) << result.out;
  EXPECT_LE(std::stoi(lines[0]), 6);
  EXPECT_EQ(lines[1], "box");
  EXPECT_EQ(lines[3], "1");  // loopback
  EXPECT_EQ(lines[4], "0");
}

TEST(SandboxTest, LoopbackIsUp) {
  const Result result = RunSpec(
      Shell("ping -c 1 -W 5 127.0.0.1 >/dev/null 2>&1; ifconfig lo; nc -w 1 127.0.0.1 9 2>&1"));
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, AllOf(HasSubstr("UP LOOPBACK RUNNING"), HasSubstr("Connection refused")));
}

TEST(SandboxTest, DangerousSystemCallsAreRefused) {
  const Result result = RunSpec(
      Shell("mount -t tmpfs none /mnt; echo $?; unshare -U true; echo $?; umount /proc; echo $?"));
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, Not(HasSubstr("0\n"))) << result.out;
  EXPECT_THAT(result.err, HasSubstr("Operation not permitted"));
}

TEST(SandboxTest, HasTheCapabilitiesOfRootInAContainerAndNoOthers) {
  const Result result = RunSpec(
      Shell("touch f && chown 1000:1000 f && stat -c %u:%g f && grep CapEff /proc/self/status; "
            "grep NoNewPrivs /proc/self/status"));
  ASSERT_OK(result.exit);
  // AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP
  // SETUID SYS_CHROOT
  EXPECT_EQ(result.out, "1000:1000\nCapEff:\t00000000a00405fb\nNoNewPrivs:\t1\n");
}

TEST(SandboxTest, HostFilesAndDescriptorsAreOutOfReach) {
  const Result result = RunSpec(
      Shell("ls / ; ls /proc/self/fd | wc -l; ls /proc/1/fd | wc -l; cat /proc/1/environ | wc -c"));
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, AllOf(HasSubstr("proc\n"), Not(HasSubstr("boot\n"))));
  EXPECT_THAT(result.out, HasSubstr("\n4\n"));  // 0, 1, 2 and the directory itself
}

TEST(SandboxTest, InitIsOutOfReach) {
  const Result result =
      RunSpec(Shell("cat /proc/1/mem; echo x > /proc/1/mem; ls -l /proc/1/fd > /dev/null; kill -9 "
                    "1; kill -STOP 1; "
                    "echo still here"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "still here\n");
  EXPECT_THAT(result.err, HasSubstr("can't open '/proc/1/mem': Permission denied"));
  EXPECT_THAT(result.err, HasSubstr("can't create /proc/1/mem: Permission denied"));
  EXPECT_THAT(result.err, HasSubstr("/proc/1/fd/3: cannot read link: Permission denied"));
}

TEST(SandboxTest, MissingCommandIs127AndUnusableOne126) {
  const Result missing = RunSpec(TestSpec({TestBusyboxLayer()}, {"no-such-command"}));
  ASSERT_OK(missing.exit);
  EXPECT_EQ(missing.exit->exit_code, 127);
  EXPECT_EQ(missing.err, "contree: cannot run no-such-command: No such file or directory\n");
  const Result unusable = RunSpec(TestSpec({TestBusyboxLayer()}, {"/etc/passwd"}));
  ASSERT_OK(unusable.exit);
  EXPECT_EQ(unusable.exit->exit_code, 126);
  EXPECT_EQ(unusable.err, "contree: cannot run /etc/passwd: Permission denied\n");
}

TEST(SandboxTest, TimeoutKillsEverything) {
  SandboxSpec spec = Shell("sleep 1000 & echo before; sleep 1000");
  spec.timeout = absl::Milliseconds(200);
  const Result result = RunSpec(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "before\n");
  EXPECT_TRUE(result.exit->timed_out);
  EXPECT_EQ(result.exit->signal, 9);
  EXPECT_EQ(result.exit->exit_code, -1);
}

TEST(SandboxTest, CommandThatIgnoresSignalsIsKilledToo) {
  SandboxSpec spec = Shell("trap '' TERM INT HUP; while :; do :; done");
  spec.timeout = absl::Milliseconds(100);
  EXPECT_EQ(RunSpec(spec).exit->signal, 9);
}

TEST(SandboxTest, CancelEndsIt) {
  CancelEvent cancel;
  std::thread canceller;
  const Result result = RunSpec(Shell("sleep 1000"), cancel,
                                [&] { canceller = std::thread([&cancel] { cancel.Cancel(); }); });
  canceller.join();
  EXPECT_THAT(result.exit, StatusIs(absl::StatusCode::kCancelled, "cancelled"));
}

TEST(SandboxTest, EndsWithItsCommandWhateverWasLeftInTheBackground) {
  const Result result = RunSpec(Shell("sleep 1000 & echo done"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->exit_code, 0);
  EXPECT_EQ(result.out, "done\n");
}

TEST(SandboxTest, SignalIsReported) {
  const Result result = RunSpec(Shell("kill -TERM $$"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->signal, 15);
  EXPECT_EQ(result.exit->exit_code, -1);
}

TEST(SandboxTest, StdinIsGivenWholeAndEnds) {
  SandboxSpec spec = Shell("wc -c");
  spec.stdin_bytes = std::string(3'000'000, 'x');
  EXPECT_EQ(RunSpec(spec).out, "3000000\n");
  EXPECT_EQ(RunSpec(Shell("wc -c")).out, "0\n");
  // One that does not read it ends as well.
  SandboxSpec deaf = Shell("true");
  deaf.stdin_bytes = spec.stdin_bytes;
  EXPECT_EQ(RunSpec(deaf).exit->exit_code, 0);
}

TEST(SandboxTest, FloodOfOutputIsRead) {
  const Result result = RunSpec(Shell("dd if=/dev/zero bs=1M count=20 2>/dev/null; echo end >&2"));
  EXPECT_EQ(result.out.size(), 20 * 1024 * 1024);
  EXPECT_EQ(result.err, "end\n");
}

TEST(SandboxTest, CwdIsMadeAndIdsAreTaken) {
  SandboxSpec spec = Shell("pwd; id; stat -c %U:%a .");
  spec.cwd = "/new/deep/er";
  spec.uid = 1000;
  spec.gid = 1001;
  const Result result = RunSpec(spec);
  EXPECT_EQ(result.out, "/new/deep/er\nuid=1000 gid=1001 groups=1001\nroot:755\n");
}

TEST(SandboxTest, CwdThatIsAFileIsAnError) {
  SandboxSpec spec = Shell("true");
  spec.cwd = "/etc/passwd";
  const Result result = RunSpec(spec);
  EXPECT_EQ(result.exit->exit_code, 126);
  EXPECT_THAT(result.err, HasSubstr("cannot enter the directory /etc/passwd"));
}

TEST(SandboxTest, EnvironmentIsWhatWasAskedFor) {
  SandboxSpec spec = TestSpec({TestBusyboxLayer()}, {"env"});
  spec.environment = {"PATH=/bin", "A=b c", "EMPTY="};
  EXPECT_EQ(RunSpec(spec).out, "PATH=/bin\nA=b c\nEMPTY=\n");
}

TEST(SandboxTest, LargeArgumentsPass) {
  SandboxSpec spec = TestSpec({TestBusyboxLayer()}, {"/bin/sh", "-c", "echo ${#1} $#", "sh"});
  spec.argv.emplace_back(100'000, 'a');
  for (int i = 0; i < 9; ++i) spec.argv.emplace_back(100'000, 'b');
  EXPECT_EQ(RunSpec(spec).out, "100000 10\n");
}

TEST(SandboxTest, NulInAnArgumentIsRefused) {
  EXPECT_THAT(RunSpec(TestSpec({TestBusyboxLayer()}, {std::string("a\0b", 3)})).exit,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NUL")));
}

TEST(SandboxTest, WritesLandInTheUpperDirectoryOnly) {
  const SandboxSpec spec = Shell("echo hi > /new; rm -rf / 2>/dev/null; true");
  ASSERT_OK(RunSpec(spec).exit);
  struct stat info;
  EXPECT_EQ(stat(absl::StrCat(TestBusyboxLayer(), "/bin/sh").c_str(), &info), 0);
  EXPECT_NE(stat(absl::StrCat(TestBusyboxLayer(), "/new").c_str(), &info), 0);
  EXPECT_EQ(RunSpec(Shell("echo alive")).out, "alive\n");
}

TEST(SandboxTest, ForkBombIsBounded) {
  SandboxSpec spec = Shell("b() { b | b & }; b; sleep 1000");
  spec.timeout = absl::Milliseconds(500);
  const Result result = RunSpec(spec);
  ASSERT_OK(result.exit);
  EXPECT_TRUE(result.exit->timed_out);
  EXPECT_EQ(RunSpec(Shell("echo alive")).out, "alive\n");
}

TEST(SandboxTest, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::vector<std::string> outputs(16);
  std::vector<SandboxSpec> specs;
  for (int i = 0; i < 16; ++i) specs.push_back(Shell(absl::StrCat("echo ", i)));
  for (int i = 0; i < 16; ++i) threads.emplace_back([&, i] { outputs[i] = RunSpec(specs[i]).out; });
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(outputs[i], absl::StrCat(i, "\n"));
}

TEST(SandboxTest, OptionTextMountsTheSame) {
  const SandboxSpec spec = Shell("true");
  ASSERT_OK_AND_ASSIGN(const UniqueFd mounted, MountOverlayByOptionText(spec.root));
  EXPECT_EQ(faccessat(mounted.get(), "bin/sh", R_OK, 0), 0);
  OverlayMount read_only = spec.root;
  read_only.upper.clear();
  ASSERT_OK_AND_ASSIGN(const UniqueFd second, MountOverlayByOptionText(read_only));
  EXPECT_EQ(faccessat(second.get(), "bin/sh", R_OK, 0), 0);
}

TEST(SandboxTest, MissingBubblewrapIsNamed) {
  EXPECT_THAT(
      SandboxLauncher::Create({.bubblewrap = "/nowhere/bwrap", .mount_point = "/"}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("install the package bubblewrap")));
}

TEST(IsolationProbeTest, PassesHere) {
  const std::string directory = NewTestDirectory();
  EXPECT_OK(ProbeIsolation(TestLauncher(), directory, NewTestDirectory()));
}

TEST(IsolationProbeTest, FailsWhereBubblewrapDoes) {
  ASSERT_OK_AND_ASSIGN(auto launcher, SandboxLauncher::Create({.bubblewrap = "/bin/false",
                                                               .mount_point = NewTestDirectory()}));
  EXPECT_THAT(ProbeIsolation(*launcher, NewTestDirectory(), NewTestDirectory()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cannot be isolated")));
}

}  // namespace
}  // namespace contree
