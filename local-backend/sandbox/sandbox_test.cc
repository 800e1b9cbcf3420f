#include "local-backend/sandbox/sandbox.h"

#include <signal.h>
#include <sys/stat.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/isolation_probe.h"
#include "local-backend/testing/file_features_layer.h"
#include "local-backend/testing/namespace_test_main.h"
#include "local-backend/testing/sandbox_run.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

SandboxRun RunSpec(const SandboxSpec& spec) { return RunSandbox(TestLauncher(), spec); }

TEST(SandboxTest, ReportsOutputAndExitCode) {
  const SandboxRun result = RunSpec(TestShell("echo out; echo err >&2; exit 7"));
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
  const SandboxRun result = RunSpec(
      TestShell("ps | grep -v ' ps' | wc -l; hostname; ls /sys/class/net 2>/dev/null | wc -l; cat "
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
  const SandboxRun result = RunSpec(
      TestShell("ping -c 1 -W 5 127.0.0.1 >/dev/null 2>&1; ifconfig lo; nc -w 1 127.0.0.1 9 2>&1"));
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, AllOf(HasSubstr("UP LOOPBACK RUNNING"), HasSubstr("Connection refused")));
}

TEST(SandboxTest, FilesDoWhatProgramsCountOn) {
  const SandboxRun result = RunSpec(TestSpec({FileFeaturesLayer()}, {"/features", "/tried"}));
  ASSERT_OK(result.exit);
  // Overlays of Linux 6.1 have none, those of 6.18 do.
  EXPECT_THAT(FailedFeatures(result.out),
              testing::IsSubsetOf({std::string("temporary files: open: Operation not supported")}));
}

TEST(SandboxTest, DangerousSystemCallsAreRefused) {
  const SandboxRun result = RunSpec(TestShell(
      "mount -t tmpfs none /mnt; echo $?; unshare -U true; echo $?; umount /proc; echo $?"));
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, Not(HasSubstr("0\n"))) << result.out;
  EXPECT_THAT(result.err, HasSubstr("Operation not permitted"));
}

TEST(SandboxTest, HasTheCapabilitiesOfRootInAContainerAndNoOthers) {
  const SandboxRun result = RunSpec(
      TestShell("touch f && chown 1000:1000 f && stat -c %u:%g f && grep CapEff /proc/self/status; "
                "grep NoNewPrivs /proc/self/status"));
  ASSERT_OK(result.exit);
  // AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP
  // SETUID SYS_CHROOT
  EXPECT_EQ(result.out, "1000:1000\nCapEff:\t00000000a00405fb\nNoNewPrivs:\t1\n");
}

TEST(SandboxTest, HostFilesAndDescriptorsAreOutOfReach) {
  const SandboxRun result = RunSpec(TestShell(
      "ls / ; ls /proc/self/fd | wc -l; ls /proc/1/fd | wc -l; cat /proc/1/environ | wc -c"));
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.out, AllOf(HasSubstr("proc\n"), Not(HasSubstr("boot\n"))));
  EXPECT_THAT(result.out, HasSubstr("\n4\n"));  // 0, 1, 2 and the directory itself
}

TEST(SandboxTest, InitIsOutOfReach) {
  const SandboxRun result = RunSpec(
      TestShell("cat /proc/1/mem; echo x > /proc/1/mem; ls -l /proc/1/fd > /dev/null; kill -9 "
                "1; kill -STOP 1; "
                "echo still here"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "still here\n");
  EXPECT_THAT(result.err, HasSubstr("can't open '/proc/1/mem': Permission denied"));
  EXPECT_THAT(result.err, HasSubstr("can't create /proc/1/mem: Permission denied"));
  EXPECT_THAT(result.err, HasSubstr("/proc/1/fd/3: cannot read link: Permission denied"));
}

TEST(SandboxTest, MissingCommandIs127AndUnusableOne126) {
  const SandboxRun missing = RunSpec(TestSpec({TestBusyboxLayer()}, {"no-such-command"}));
  ASSERT_OK(missing.exit);
  EXPECT_EQ(missing.exit->exit_code, 127);
  EXPECT_EQ(missing.err, "contree: cannot run no-such-command: No such file or directory\n");
  const SandboxRun unusable = RunSpec(TestSpec({TestBusyboxLayer()}, {"/etc/passwd"}));
  ASSERT_OK(unusable.exit);
  EXPECT_EQ(unusable.exit->exit_code, 126);
  EXPECT_EQ(unusable.err, "contree: cannot run /etc/passwd: Permission denied\n");
}

TEST(SandboxTest, TimeoutKillsEverything) {
  SandboxSpec spec = TestShell("sleep 1000 & echo before; sleep 1000");
  spec.timeout = absl::Seconds(1);
  const SandboxRun result = RunSpec(spec);
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "before\n");
  EXPECT_TRUE(result.exit->timed_out);
  EXPECT_EQ(result.exit->signal, 9);
  EXPECT_EQ(result.exit->exit_code, -1);
}

TEST(SandboxTest, CommandThatIgnoresSignalsIsKilledToo) {
  SandboxSpec spec = TestShell("trap '' TERM INT HUP; while :; do :; done");
  spec.timeout = absl::Milliseconds(100);
  EXPECT_EQ(RunSpec(spec).exit->signal, 9);
}

TEST(SandboxTest, CancelEndsIt) {
  CancelEvent cancel;
  std::thread canceller;
  const SandboxRun result = RunSandbox(
      TestLauncher(), TestShell("sleep 1000"), cancel,
      {.on_started = [&](int) { canceller = std::thread([&cancel] { cancel.Cancel(); }); }});
  canceller.join();
  EXPECT_THAT(result.exit, StatusIs(absl::StatusCode::kCancelled, "cancelled"));
}

TEST(SandboxTest, EndsWithItsCommandWhateverWasLeftInTheBackground) {
  const SandboxRun result = RunSpec(TestShell("sleep 1000 & echo done"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->exit_code, 0);
  EXPECT_EQ(result.out, "done\n");
}

TEST(SandboxTest, SignalIsReported) {
  const SandboxRun result = RunSpec(TestShell("kill -TERM $$"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.exit->signal, 15);
  EXPECT_EQ(result.exit->exit_code, -1);
}

TEST(SandboxTest, StdinIsGivenWholeAndEnds) {
  SandboxSpec spec = TestShell("wc -c");
  spec.stdin_bytes = std::string(3'000'000, 'x');
  EXPECT_EQ(RunSpec(spec).out, "3000000\n");
  EXPECT_EQ(RunSpec(TestShell("wc -c")).out, "0\n");
  // One that does not read it ends as well.
  SandboxSpec deaf = TestShell("true");
  deaf.stdin_bytes = spec.stdin_bytes;
  EXPECT_EQ(RunSpec(deaf).exit->exit_code, 0);
}

TEST(SandboxTest, FloodOfOutputIsRead) {
  const SandboxRun result =
      RunSpec(TestShell("dd if=/dev/zero bs=1M count=20 2>/dev/null; echo end >&2"));
  EXPECT_EQ(result.out.size(), 20 * 1024 * 1024);
  EXPECT_EQ(result.err, "end\n");
}

TEST(SandboxTest, CwdIsMadeAndIdsAreTaken) {
  SandboxSpec spec = TestShell("pwd; id; stat -c %U:%a .");
  spec.cwd = "/new/deep/er";
  spec.uid = 1000;
  spec.gid = 1001;
  const SandboxRun result = RunSpec(spec);
  EXPECT_EQ(result.out, "/new/deep/er\nuid=1000 gid=1001 groups=1001\nroot:755\n");
}

TEST(SandboxTest, CwdThatIsAFileIsAnError) {
  SandboxSpec spec = TestShell("true");
  spec.cwd = "/etc/passwd";
  const SandboxRun result = RunSpec(spec);
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
  const SandboxSpec spec = TestShell("echo hi > /new; rm -rf / 2>/dev/null; true");
  ASSERT_OK(RunSpec(spec).exit);
  struct stat info;
  EXPECT_EQ(stat(absl::StrCat(TestBusyboxLayer(), "/bin/sh").c_str(), &info), 0);
  EXPECT_NE(stat(absl::StrCat(TestBusyboxLayer(), "/new").c_str(), &info), 0);
  EXPECT_EQ(RunSpec(TestShell("echo alive")).out, "alive\n");
}

TEST(SandboxTest, ForkBombIsBounded) {
  SandboxSpec spec = TestShell("b() { b | b & }; b & exec sleep 1000");
  spec.timeout = absl::Milliseconds(500);
  const SandboxRun result = RunSpec(spec);
  ASSERT_OK(result.exit);
  EXPECT_TRUE(result.exit->timed_out);
  EXPECT_EQ(RunSpec(TestShell("echo alive")).out, "alive\n");
}

// Collects what happens to one process; may be waited for.
class Recorder {
 public:
  SandboxEvents Events() {
    return {
        .on_started = [this](int) { Record([this] { started_ = true; }); },
        .on_output =
            [this](OutputStream stream, absl::string_view bytes) {
              Record([&] {
                (stream == OutputStream::kStdout ? out_ : err_).append(bytes.data(), bytes.size());
              });
            },
        .on_exited = [this](const SandboxExit& exit) { Record([&] { exit_ = exit; }); }};
  }
  SandboxLauncher::OnEnd OnEnd() {
    return [this](absl::StatusOr<SandboxExit> end) { Record([&] { end_ = std::move(end); }); };
  }

  void AwaitStart() {
    Await([this] { return started_; });
  }
  std::string AwaitOut(size_t bytes) {
    Await([&] { return out_.size() >= bytes; });
    const std::lock_guard<std::mutex> lock(mutex_);
    return out_;
  }
  SandboxExit AwaitExit() {
    Await([this] { return exit_.has_value(); });
    return *exit_;
  }
  absl::StatusOr<SandboxExit> AwaitEnd() {
    Await([this] { return end_.has_value(); });
    return *end_;
  }
  std::string out() const { return out_; }
  std::string err() const { return err_; }

 private:
  void Record(const std::function<void()>& change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change();
    changed_.notify_all();
  }
  void Await(const std::function<bool()>& condition) {
    std::unique_lock<std::mutex> lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), condition));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false;
  std::string out_;
  std::string err_;
  std::optional<SandboxExit> exit_;
  std::optional<absl::StatusOr<SandboxExit>> end_;
};

ProcessSpec Beside(const std::string& script) {
  ProcessSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  spec.environment = {"PATH=/bin"};
  return spec;
}

TEST(SandboxProcessesTest, ShareTheSandboxAndEndEachWithItsOwnCode) {
  const CancelEvent never;
  Recorder main;
  SandboxSpec spec = TestShell("echo $$ > /shared; read line; echo main got $line");
  spec.stdin_stays_open = true;
  ASSERT_OK_AND_ASSIGN(const auto running,
                       TestLauncher().Start(spec, never, main.Events(), main.OnEnd()));
  main.AwaitStart();
  Recorder second;
  Recorder third;
  ProcessSpec other = Beside("id -u; pwd; cat; exit 5");
  other.uid = 1000;
  other.cwd = "/tmp/made";
  other.stdin_bytes = "given\n";
  ASSERT_OK(running->StartProcess(2, other, second.Events()));
  ASSERT_OK(running->StartProcess(3, Beside("kill -TERM $$"), third.Events()));
  EXPECT_EQ(second.AwaitExit().exit_code, 5);
  EXPECT_EQ(second.out(), "1000\n/tmp/made\ngiven\n");
  EXPECT_EQ(third.AwaitExit().signal, SIGTERM);
  Recorder fourth;
  ASSERT_OK(running->StartProcess(
      4, Beside("while [ ! -s /shared ]; do :; done; test -d /proc/$(cat /shared)"),
      fourth.Events()));
  EXPECT_EQ(fourth.AwaitExit().exit_code, 0);
  ASSERT_OK(running->WriteStdin(kMainProcess, "hello\n", /*close=*/false));
  ASSERT_OK_AND_ASSIGN(const SandboxExit end, main.AwaitEnd());
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(main.out(), "main got hello\n");
}

TEST(SandboxProcessesTest, StdinIsWrittenPieceByPieceAndClosed) {
  const CancelEvent never;
  Recorder main;
  SandboxSpec spec = TestShell("cat; echo end");
  spec.stdin_bytes = "one ";
  spec.stdin_stays_open = true;
  ASSERT_OK_AND_ASSIGN(const auto running,
                       TestLauncher().Start(spec, never, main.Events(), main.OnEnd()));
  EXPECT_EQ(main.AwaitOut(4), "one ");
  ASSERT_OK(running->WriteStdin(kMainProcess, "two ", false));
  EXPECT_EQ(main.AwaitOut(8), "one two ");
  ASSERT_OK(running->WriteStdin(kMainProcess, std::string(1'000'000, 'x'), true));
  EXPECT_THAT(running->WriteStdin(kMainProcess, "late", false),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("closed")));
  ASSERT_OK(main.AwaitEnd());
  EXPECT_EQ(main.out(), absl::StrCat("one two ", std::string(1'000'000, 'x'), "end\n"));
  EXPECT_THAT(running->WriteStdin(kMainProcess, "late", false),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("ended")));
}

TEST(SandboxProcessesTest, UnreadStdinIsBounded) {
  CancelEvent cancel;
  Recorder main;
  SandboxSpec spec = TestShell("sleep 1000");
  spec.stdin_stays_open = true;
  ASSERT_OK_AND_ASSIGN(const auto running,
                       TestLauncher().Start(spec, cancel, main.Events(), main.OnEnd()));
  const std::string piece(8 << 20, 'x');
  ASSERT_OK(running->WriteStdin(kMainProcess, piece, false));
  ASSERT_OK(running->WriteStdin(kMainProcess, piece.substr(0, 4 << 20), false));
  EXPECT_THAT(running->WriteStdin(kMainProcess, piece, false),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("yet to read")));
  cancel.Cancel();
  EXPECT_THAT(main.AwaitEnd(), StatusIs(absl::StatusCode::kCancelled, "cancelled"));
}

TEST(SandboxProcessesTest, SignalReachesTheProcessAndItsGroupOnly) {
  const CancelEvent never;
  Recorder main;
  SandboxSpec spec =
      TestShell("trap 'echo got; exit 3' INT; echo up; while :; do sleep 0.05; done");
  ASSERT_OK_AND_ASSIGN(const auto running,
                       TestLauncher().Start(spec, never, main.Events(), main.OnEnd()));
  main.AwaitOut(3);
  Recorder second;
  ASSERT_OK(running->StartProcess(2, Beside("sleep 1000 & echo up; wait"), second.Events()));
  second.AwaitOut(3);
  ASSERT_OK(running->Signal(2, SIGKILL));
  EXPECT_EQ(second.AwaitExit().signal, SIGKILL);
  EXPECT_THAT(running->Signal(2, SIGKILL),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("process 2 has ended")));
  EXPECT_THAT(running->Signal(3, SIGKILL), StatusIs(absl::StatusCode::kNotFound, HasSubstr("3")));
  ASSERT_OK(running->Signal(kMainProcess, SIGINT));
  ASSERT_OK_AND_ASSIGN(const SandboxExit end, main.AwaitEnd());
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(main.out(), "up\ngot\n");
}

TEST(SandboxProcessesTest, DieWithTheCommand) {
  const CancelEvent never;
  Recorder main;
  SandboxSpec spec = TestShell("read line");
  spec.stdin_stays_open = true;
  ASSERT_OK_AND_ASSIGN(const auto running,
                       TestLauncher().Start(spec, never, main.Events(), main.OnEnd()));
  Recorder second;
  ASSERT_OK(running->StartProcess(2, Beside("echo up; sleep 1000"), second.Events()));
  second.AwaitOut(3);
  ASSERT_OK(running->WriteStdin(kMainProcess, "go\n", true));
  ASSERT_OK(main.AwaitEnd());
  EXPECT_EQ(second.AwaitExit().signal, SIGKILL);
  EXPECT_THAT(running->StartProcess(3, Beside("true"), {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has ended")));
}

TEST(SandboxProcessesTest, EndIsToldAlthoughOneInTheBackgroundKeepsItsOutput) {
  CancelEvent cancel;
  Recorder main;
  ASSERT_OK_AND_ASSIGN(const auto running, TestLauncher().Start(TestShell("sleep 1000"), cancel,
                                                                main.Events(), main.OnEnd()));
  Recorder second;
  ASSERT_OK(running->StartProcess(2, Beside("sleep 1000 & echo done"), second.Events()));
  EXPECT_EQ(second.AwaitExit().exit_code, 0);
  EXPECT_EQ(second.out(), "done\n");
  Recorder third;
  ASSERT_OK(running->StartProcess(3, Beside("yes & exit 4"), third.Events()));
  EXPECT_EQ(third.AwaitExit().exit_code, 4);
  cancel.Cancel();
  EXPECT_THAT(main.AwaitEnd(), StatusIs(absl::StatusCode::kCancelled, "cancelled"));
}

TEST(SandboxProcessesTest, ManyAtOnceInOneSandbox) {
  CancelEvent cancel;
  Recorder main;
  ASSERT_OK_AND_ASSIGN(const auto running, TestLauncher().Start(TestShell("sleep 1000"), cancel,
                                                                main.Events(), main.OnEnd()));
  std::vector<Recorder> others(50);
  for (uint32_t i = 0; i < others.size(); ++i) {
    ProcessSpec spec = Beside("cat; echo $1 >&2");
    spec.argv.insert(spec.argv.end(), {"sh", std::string(20'000, static_cast<char>('a' + i % 26))});
    spec.stdin_bytes = absl::StrCat(i);
    ASSERT_OK(running->StartProcess(i + 2, spec, others[i].Events()));
  }
  for (uint32_t i = 0; i < others.size(); ++i) {
    EXPECT_EQ(others[i].AwaitExit().exit_code, 0);
    EXPECT_EQ(others[i].out(), absl::StrCat(i));
    EXPECT_EQ(others[i].err().size(), 20'001);
  }
  cancel.Cancel();
  EXPECT_FALSE(main.AwaitEnd().ok());
}

TEST(SandboxTest, ProcessesAreBoundedForEachRunAndItIsSaid) {
  if (TestCgroups() == nullptr) GTEST_SKIP() << "no cgroups for this user here";
  const SandboxRun result = RunSpec(
      TestShell("i=0; while [ $i -lt 450 ]; do sleep 100 2>/dev/null & i=$((i+1)); done; wait"));
  ASSERT_OK(result.exit);
  EXPECT_THAT(result.err, HasSubstr("contree: too many processes: a run may have 400\n"));
}

TEST(SandboxTest, MemoryIsBoundedForAllProcessesOfARunAndItIsSaid) {
  if (TestCgroups() == nullptr) GTEST_SKIP() << "no cgroups for this user here";
  const SandboxRun result =
      RunSpec(TestShell("dd if=/dev/zero of=/dev/null bs=400M count=1 2>/dev/null; echo $?"));
  ASSERT_OK(result.exit);
  EXPECT_EQ(result.out, "137\n");
  EXPECT_THAT(result.err,
              HasSubstr("contree: out of memory: a run may have 268435456 bytes; the kernel ended "
                        "1 of its processes\n"));
  EXPECT_EQ(result.exit->out_of_memory_kills, 1);
  EXPECT_EQ(result.exit->exit_code, 0);
  // What lies in memory file systems counts too.
  const SandboxRun files =
      RunSpec(TestShell("dd if=/dev/zero of=/dev/shm/big bs=1M count=400 2>/dev/null; echo $?"));
  ASSERT_OK(files.exit);
  EXPECT_THAT(files.out, Not(HasSubstr("\n0\n")));
  EXPECT_NE(files.out, "0\n");
}

TEST(SandboxTest, WithoutCgroupsMemoryIsBoundedForEachProcess) {
  ASSERT_OK_AND_ASSIGN(
      const auto launcher,
      SandboxLauncher::Create({.mount_point = NewTestDirectory(), .limits = kTestLimits}));
  std::string out;
  SandboxEvents events;
  events.on_output = [&out](OutputStream, absl::string_view bytes) {
    absl::StrAppend(&out, bytes);
  };
  const CancelEvent never;
  ASSERT_OK(launcher->Run(
      TestShell("dd if=/dev/zero of=/dev/null bs=400M count=1 2>/dev/null || echo refused"), never,
      events));
  EXPECT_EQ(out, "refused\n");
}

TEST(SandboxTest, ProcessorTimeOfAllProcessesCounts) {
  if (TestCgroups() == nullptr) GTEST_SKIP() << "no cgroups for this user here";
  // In the background, and never waited for.
  const SandboxRun result =
      RunSpec(TestShell("(timeout 0.5 sh -c 'while :; do :; done' &) ; sleep 0.7"));
  ASSERT_OK(result.exit);
  EXPECT_GT(result.exit->usage.user_microseconds + result.exit->usage.system_microseconds, 100'000);
}

TEST(SandboxTest, GroupsOfRunsAreRemoved) {
  if (TestCgroups() == nullptr) GTEST_SKIP() << "no cgroups for this user here";
  ASSERT_OK_AND_ASSIGN(auto run, TestCgroups()->NewRun(kTestLimits));
  std::vector<std::string> directories;
  for (const std::string& file : run->task_files()) {
    directories.push_back(file.substr(0, file.rfind('/')));
  }
  struct stat info;
  for (const std::string& directory : directories) EXPECT_EQ(stat(directory.c_str(), &info), 0);
  run.reset();
  for (const std::string& directory : directories) EXPECT_NE(stat(directory.c_str(), &info), 0);
}

TEST(SandboxTest, WhatItWritesIsBounded) {
  SandboxSpec spec =
      TestShell("cd /; while :; do head -c 1000000 /dev/zero > f$i; i=$((i+1)); done");
  spec.disk_bytes = 32 << 20;
  spec.timeout = absl::Seconds(60);
  const SandboxRun result = RunSpec(spec);
  ASSERT_OK(result.exit);
  EXPECT_FALSE(result.exit->timed_out);
  EXPECT_GT(result.exit->written_bytes, spec.disk_bytes);
  EXPECT_EQ(result.exit->signal, 9);
  EXPECT_THAT(result.err, HasSubstr("contree: the command was stopped: it wrote more than the "
                                    "33554432 bytes that it may\n"));
  // One file alone does not get far between two looks.
  spec = TestShell("head -c 200000000 /dev/zero > /f");
  spec.disk_bytes = 32 << 20;
  ASSERT_OK(RunSpec(spec).exit);
  struct stat info;
  ASSERT_EQ(stat(absl::StrCat(spec.root.upper, "/f").c_str(), &info), 0);
  EXPECT_GT(info.st_size, 32 << 20);
  EXPECT_LE(info.st_size, 33 << 20);
}

TEST(SandboxTest, ManyAtOnce) {
  std::vector<std::thread> threads;
  std::vector<std::string> outputs(16);
  std::vector<SandboxSpec> specs;
  for (int i = 0; i < 16; ++i) specs.push_back(TestShell(absl::StrCat("echo ", i)));
  for (int i = 0; i < 16; ++i) threads.emplace_back([&, i] { outputs[i] = RunSpec(specs[i]).out; });
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(outputs[i], absl::StrCat(i, "\n"));
}

TEST(SandboxTest, OptionTextMountsTheSame) {
  const SandboxSpec spec = TestShell("true");
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
