// The real relay, with a machine of ours beside it that says what a hostile guest might.

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/sandbox/bubblewrap.h"
#include "local-backend/sandbox/vm_link_protocol.h"
#include "local-backend/sandbox/vm_programs_image.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::HasSubstr;

std::string Frame(VmFrameType type, uint32_t stream, const std::string& payload) {
  const VmFrameHeader header = {
      .type = type, .stream = stream, .size = static_cast<uint32_t>(payload.size())};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + payload;
}

template <typename Reply>
std::string Control(FrameType type, const Reply& reply) {
  const FrameHeader header = {.type = type, .size = sizeof reply};
  return Frame(VmFrameType::kControl, 0,
               std::string(reinterpret_cast<const char*>(&header), sizeof header) +
                   std::string(reinterpret_cast<const char*>(&reply), sizeof reply));
}

std::string Ready() { return Frame(VmFrameType::kReady, 0, ""); }

struct Outcome {
  int exit_code = -1;
  std::string said;     // on stderr
  std::string control;  // to the backend
};

// Runs the relay with a shell in the place of QEMU, to its end. `from_backend` waits
// for it when it starts.
Outcome RunRelay(const std::string& machine, const std::string& from_backend = "") {
  auto relay = MakeVmRelayFile();
  const auto bubblewrap = FindBubblewrap("bwrap");
  EXPECT_OK(relay);
  EXPECT_OK(bubblewrap);
  int control[2];
  int said[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
  EXPECT_EQ(pipe(said), 0);
  EXPECT_EQ(send(control[0], from_backend.data(), from_backend.size(), 0),
            static_cast<ssize_t>(from_backend.size()));
  const pid_t child = fork();
  if (child == 0) {
    dup2(control[1], 0);
    dup2(said[1], 2);
    dup2(relay->get(), 42);
    close(said[0]);
    std::vector<std::string> words = {*bubblewrap,
                                      "--unshare-pid",
                                      "--die-with-parent",
                                      "--as-pid-1",
                                      "--ro-bind",
                                      "/",
                                      "/",
                                      "--tmpfs",
                                      "/run",
                                      "--proc",
                                      "/proc",
                                      "--dev",
                                      "/dev",
                                      "--",
                                      "/proc/self/fd/42",
                                      "box",
                                      "0",
                                      "0",
                                      "--",
                                      "/bin/busybox",
                                      "sleep",
                                      "1000",
                                      "--",
                                      "/bin/busybox",
                                      "sh",
                                      "-c",
                                      machine};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(99);
  }
  close(control[1]);
  close(said[1]);
  Outcome outcome;
  char bytes[4096];
  ssize_t got;
  while ((got = read(said[0], bytes, sizeof bytes)) > 0) outcome.said.append(bytes, got);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  while ((got = recv(control[0], bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    outcome.control.append(bytes, got);
  }
  close(control[0]);
  close(said[0]);
  return outcome;
}

// The shell's command to send this to the relay.
std::string Send(const std::string& frames) {
  std::string escaped;
  for (const char byte : frames) {
    absl::StrAppendFormat(&escaped, "\\%03o", static_cast<unsigned char>(byte));
  }
  return absl::StrCat("printf '", escaped, "' >&10; ");
}

Outcome RunRelayWithGuestThatSends(const std::string& frames) {
  return RunRelay(Send(frames) + "sleep 10");
}

TEST(VmRelayTest, AMachineThatEndsIsTheEndWithAReason) {
  const Outcome outcome = RunRelay("echo cannot go on; exit 3");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.said, HasSubstr("the virtual machine has ended: QEMU with exit code 3"));
  EXPECT_THAT(outcome.said, HasSubstr("cannot go on"));
}

TEST(VmRelayTest, ItsMachineHasNoPrivileges) {
  const Outcome outcome =
      RunRelay("grep -E '^(Uid|Groups|CapPrm|CapEff|CapAmb):' /proc/self/status; exit 3");
  EXPECT_THAT(outcome.said, HasSubstr("65534?65534?65534?65534"));
  EXPECT_THAT(outcome.said, HasSubstr("CapPrm:?0000000000000000"));
  EXPECT_THAT(outcome.said, HasSubstr("CapEff:?0000000000000000"));
}

TEST(VmRelayTest, GuestsThatBreakTheRulesLoseTheirMachines) {
  const StartedReply started = {.spid = 1, .pid = 2, .error_number = 0};
  for (const std::string& frames : {
           std::string(4096, 'x'),
           // Too long a frame, announced.
           std::string("\4\0\0\0\1\0\0\0\xff\xff\xff\xff", 12),
           // Speaking before it is ready, or of what is the relay's to say.
           Control(FrameType::kStarted, started),
           Ready() + Ready(),
           Ready() + Frame(VmFrameType::kSetUp, 0, ""),
           Ready() + Frame(VmFrameType::kDone, 0, "short"),
           // What no init says.
           Ready() + Control(FrameType::kLimits, LimitsReply{}),
           Ready() + Control(FrameType::kStart, started),
           Ready() + Frame(VmFrameType::kControl, 0, "x"),
       }) {
    const Outcome outcome = RunRelayWithGuestThatSends(frames);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.said, HasSubstr("the guest sent what its machine's relay does not take"));
    EXPECT_EQ(outcome.control, "");
  }
}

TEST(VmRelayTest, AGuestThatFailsSaysWhyAndNothingElse) {
  const Outcome outcome = RunRelayWithGuestThatSends(
      Frame(VmFrameType::kFailed, 0, "cannot load the kernel module\x1b[31m"));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.said,
              HasSubstr("the guest does not start; it said: cannot load the kernel module?[31m"));
}

TEST(VmRelayTest, TheEndIsToldWithWhatWasReached) {
  const LimitsReply limits = {.out_of_memory_kills = 3, .refused_processes = 4};
  const Outcome outcome = RunRelayWithGuestThatSends(
      Ready() + Frame(VmFrameType::kDone, 0,
                      std::string(reinterpret_cast<const char*>(&limits), sizeof limits)));
  EXPECT_EQ(outcome.exit_code, 0);
  const FrameHeader header = {.type = FrameType::kLimits, .size = sizeof limits};
  EXPECT_EQ(outcome.control,
            std::string(reinterpret_cast<const char*>(&header), sizeof header) +
                std::string(reinterpret_cast<const char*>(&limits), sizeof limits));
}

TEST(VmRelayTest, WhatTheBackendSaidBeforeReachesAGuestThatIsReady) {
  const SignalRequest request = {.spid = 0x51, .signal = 15};
  const FrameHeader header = {.type = FrameType::kSignal, .size = sizeof request};
  const std::string frame = std::string(reinterpret_cast<const char*>(&header), sizeof header) +
                            std::string(reinterpret_cast<const char*>(&request), sizeof request);
  const size_t before = sizeof(VmFrameHeader) + sizeof(VmSetUp) + strlen("box") +
                        sizeof(VmFrameHeader) + sizeof header;
  const Outcome outcome =
      RunRelay(absl::StrCat(Send(Ready()), "head -c ", before + sizeof request, " <&10 | tail -c ",
                            sizeof request, " | od -An -tx1; exit 3"),
               frame);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.said, HasSubstr("51 00 00 00 0f 00 00 00"));
}

}  // namespace
}  // namespace contree
