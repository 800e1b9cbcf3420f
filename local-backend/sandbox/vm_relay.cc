// The relay: process 1 of the namespaces in which a virtual machine runs. Starts virtiofsd, which
// gives the guest its files, and QEMU, and stands between the backend, which takes it for the init
// of a sandbox (sandbox_init_protocol.h), and the agent in the guest (vm_link_protocol.h). When it
// ends, all of it ends. What the guest sends is taken for hostile: it is bounded, and a guest that
// breaks the rules loses its machine.
//
// Linked statically.
//
//   argv: HOSTNAME, MEMORY in bytes and PROCESSES for the run, "--", virtiofsd's command, "--",
//   QEMU's command. stdin: the socket to the backend; stderr: for complaints.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "local-backend/sandbox/sandbox_init_protocol.h"
#include "local-backend/sandbox/vm_link.h"
#include "local-backend/sandbox/vm_link_protocol.h"
#include "local-backend/sandbox/vm_machine.h"

namespace {

using contree::ExitedReply;
using contree::FrameHeader;
using contree::FrameType;
using contree::kMainProcess;
using contree::kMaxFrameBytes;
using contree::kMaxVmSpid;
using contree::LimitsReply;
using contree::SignalRequest;
using contree::StartedReply;
using contree::StartRequest;
using contree::VmCommands;
using contree::VmFrameHeader;
using contree::VmFrameType;
using contree::VmLink;
using contree::VmMachine;
using contree::VmSetUp;
using contree::VmStream;
using contree::VmStreamNumber;

constexpr int kBackend = 3;
// While so much waits for the guest, the backend waits too.
constexpr size_t kEnoughUnsent = 1024 * 1024;

// `said`: by the machine; anything may be in it.
[[noreturn]] void End(const std::string& what, std::string_view said = {}) {
  fprintf(stderr, "%s", what.c_str());
  if (!said.empty()) {
    fprintf(stderr, "; it said: ");
    for (const char c : said) fputc(c == '\n' || (c >= ' ' && c <= '~') ? c : '?', stderr);
  }
  fputc('\n', stderr);
  _exit(1);
}

class Relay {
 public:
  // `signals`: a descriptor that hears SIGCHLD.
  Relay(VmSetUp set_up, std::string hostname, int signals, VmMachine& machine)
      : set_up_(set_up),
        hostname_(std::move(hostname)),
        signals_(signals),
        machine_(machine),
        link_(VmLink::Side::kRelay, machine.serial()) {}

  [[noreturn]] void Run() {
    while (true) {
      std::vector<pollfd> polls;
      link_.AppendTo(polls);
      const size_t at = polls.size();
      const bool hears = !is_done_ && link_.unsent() < kEnoughUnsent;
      polls.push_back({.fd = hears ? kBackend : -1, .events = POLLIN, .revents = 0});
      polls.push_back({.fd = machine_.output(), .events = POLLIN, .revents = 0});
      polls.push_back({.fd = is_done_ ? -1 : signals_, .events = POLLIN, .revents = 0});
      // Done: only what our own pipes take is still of interest.
      if (is_done_) polls[0].fd = -1;
      if (poll(polls.data(), polls.size(), -1) < 0) {
        if (errno != EINTR) End("the relay cannot poll");
        continue;
      }
      if (polls[at + 1].revents != 0) machine_.HearOutput();
      if (polls[at].revents != 0) HearBackend();
      const bool goes_on =
          link_.Handle(polls.data(), [this](const VmFrameHeader& header, std::string_view payload) {
            return OnFrame(header, payload);
          });
      PassDelayed();
      if (is_done_ && !link_.has_sinks()) Finish();
      if (is_done_) continue;
      if (!goes_on && link_.broken()) {
        End("the guest sent what its machine's relay does not take", machine_.said());
      }
      if (polls[at + 2].revents != 0 || !goes_on) HearSignals(goes_on);
    }
  }

 private:
  struct FromBackend {
    std::string bytes;
    uint32_t starts = 0;  // the process that the descriptors, if any, belong to
    int descriptors[3] = {-1, -1, -1};
  };

  // The end of a process that its last words must reach the backend before.
  struct Delayed {
    uint32_t spid;
    std::string frame;
    uint64_t out_bytes;
    uint64_t err_bytes;
  };

  void HearSignals(bool goes_on) {
    signalfd_siginfo ignored;
    while (read(signals_, &ignored, sizeof ignored) > 0) {
    }
    if (!goes_on) usleep(50'000);  // it is about to end
    const std::string ended = machine_.WhatEnded();
    machine_.HearOutput();
    if (!ended.empty()) End("the virtual machine has ended: " + ended, machine_.said());
    if (!goes_on) End("the virtual machine has closed its serial port", machine_.said());
  }

  // Frames of the backend, with the descriptors that come with their first byte: never read beyond
  // the frame's end, or those of the next would be taken for this one's.
  void HearBackend() {
    FrameHeader header;
    size_t wanted = sizeof header;
    if (heard_.size() >= sizeof header) {
      memcpy(&header, heard_.data(), sizeof header);
      wanted += header.size;
    }
    const size_t at = heard_.size();
    heard_.resize(std::min(wanted, at + 64 * 1024));
    iovec part = {.iov_base = heard_.data() + at, .iov_len = heard_.size() - at};
    alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = recvmsg(kBackend, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
      heard_.resize(at);
      return;
    }
    if (got <= 0) _exit(0);  // the backend is gone
    heard_.resize(at + static_cast<size_t>(got));
    const cmsghdr* attached = CMSG_FIRSTHDR(&message);
    if (attached != nullptr && attached->cmsg_type == SCM_RIGHTS &&
        attached->cmsg_len == CMSG_LEN(3 * sizeof(int))) {
      memcpy(descriptors_, CMSG_DATA(attached), sizeof descriptors_);
    }
    if (heard_.size() < sizeof header) return;
    memcpy(&header, heard_.data(), sizeof header);
    if (header.size > kMaxFrameBytes) _exit(0);
    if (heard_.size() < sizeof header + header.size) return;
    OnBackendFrame(header);
    heard_.clear();
  }

  void OnBackendFrame(const FrameHeader& header) {
    const std::string_view payload = std::string_view(heard_).substr(sizeof header);
    FromBackend frame = {.bytes = heard_};
    if (header.type == FrameType::kStart) {
      StartRequest request;
      if (payload.size() < sizeof request || descriptors_[0] < 0) _exit(0);
      memcpy(&request, payload.data(), sizeof request);
      if (request.spid > kMaxVmSpid) _exit(0);
      frame.starts = request.spid;
      memcpy(frame.descriptors, descriptors_, sizeof descriptors_);
      for (int& fd : descriptors_) fd = -1;
    } else if (header.type == FrameType::kSignal && !has_started_) {
      // No command is there to be killed, and a machine that starts is not waited for.
      SignalRequest request;
      if (payload.size() == sizeof request) {
        memcpy(&request, payload.data(), sizeof request);
        if (request.spid == 0 && request.signal == SIGKILL) _exit(0);
      }
    }
    if (is_ready_) {
      Pass(frame);
    } else {
      waiting_.push_back(std::move(frame));
    }
  }

  // Streams follow the order to start their process: the guest forgets what it does not know.
  void Pass(const FromBackend& frame) {
    link_.Send(VmFrameType::kControl, 0, frame.bytes);
    if (frame.descriptors[0] < 0) return;
    for (const int fd : frame.descriptors) {
      fcntl(fd, F_SETFL, O_NONBLOCK | (fcntl(fd, F_GETFL) & O_ACCMODE));
    }
    link_.AddSource(VmStreamNumber(frame.starts, VmStream::kStdin), frame.descriptors[0]);
    link_.AddSink(VmStreamNumber(frame.starts, VmStream::kStdout), frame.descriptors[1]);
    link_.AddSink(VmStreamNumber(frame.starts, VmStream::kStderr), frame.descriptors[2]);
  }

  // What comes from the guest, other than streams.
  bool OnFrame(const VmFrameHeader& header, std::string_view payload) {
    switch (header.type) {
      case VmFrameType::kReady:
        if (is_ready_) return false;
        is_ready_ = true;
        SetUp();
        return true;
      case VmFrameType::kControl:
        return is_ready_ && OnReply(payload);
      case VmFrameType::kDone:
        if (!is_ready_ || payload.size() != sizeof limits_) return false;
        memcpy(&limits_, payload.data(), sizeof limits_);
        is_done_ = true;
        link_.EndSinks();
        return true;
      case VmFrameType::kFailed:
        End("the guest does not start", payload);
      default:
        return false;
    }
  }

  void SetUp() {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    set_up_.realtime_nanoseconds = now.tv_sec * 1'000'000'000 + now.tv_nsec;
    std::string payload(reinterpret_cast<const char*>(&set_up_), sizeof set_up_);
    payload += hostname_;
    link_.Send(VmFrameType::kSetUp, 0, payload);
    for (const FromBackend& frame : waiting_) Pass(frame);
    waiting_.clear();
  }

  bool OnReply(std::string_view frame) {
    FrameHeader header;
    if (frame.size() < sizeof header) return false;
    memcpy(&header, frame.data(), sizeof header);
    const std::string_view payload = frame.substr(sizeof header);
    if (header.size != payload.size()) return false;
    if (header.type == FrameType::kStarted && payload.size() == sizeof(StartedReply)) {
      has_started_ = true;
      Tell(frame);
      return true;
    }
    if (header.type != FrameType::kExited || payload.size() != sizeof(ExitedReply)) return false;
    ExitedReply reply;
    memcpy(&reply, payload.data(), sizeof reply);
    if (reply.spid == kMainProcess || reply.spid > kMaxVmSpid) {
      Tell(frame);
      return true;
    }
    delayed_.push_back(
        {.spid = reply.spid,
         .frame = std::string(frame),
         .out_bytes = link_.Received(VmStreamNumber(reply.spid, VmStream::kStdout)),
         .err_bytes = link_.Received(VmStreamNumber(reply.spid, VmStream::kStderr))});
    // No more than it has processes.
    return delayed_.size() <= 64 * 1024;
  }

  void PassDelayed() {
    while (!delayed_.empty()) {
      const Delayed& first = delayed_.front();
      if (!link_.HasWritten(VmStreamNumber(first.spid, VmStream::kStdout), first.out_bytes) ||
          !link_.HasWritten(VmStreamNumber(first.spid, VmStream::kStderr), first.err_bytes)) {
        return;
      }
      Tell(first.frame);
      delayed_.pop_front();
    }
  }

  static void Tell(std::string_view frame) {
    while (!frame.empty()) {
      const ssize_t sent = send(kBackend, frame.data(), frame.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) _exit(0);
      frame.remove_prefix(static_cast<size_t>(sent));
    }
  }

  [[noreturn]] void Finish() {
    const FrameHeader header = {.type = FrameType::kLimits, .size = sizeof limits_};
    std::string frame(reinterpret_cast<const char*>(&header), sizeof header);
    frame.append(reinterpret_cast<const char*>(&limits_), sizeof limits_);
    Tell(frame);
    _exit(0);
  }

  VmSetUp set_up_;
  const std::string hostname_;
  const int signals_;
  VmMachine& machine_;
  VmLink link_;  // over the machine's serial port
  std::string heard_;
  int descriptors_[3] = {-1, -1, -1};
  std::vector<FromBackend> waiting_;  // until the guest is ready
  std::deque<Delayed> delayed_;
  LimitsReply limits_ = {};
  bool is_ready_ = false;
  bool has_started_ = false;
  bool is_done_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_DUMPABLE, 0);
  if (argc < 7 || dup2(0, kBackend) < 0) return 1;
  fcntl(kBackend, F_SETFD, FD_CLOEXEC);
  // virtiofsd holds a descriptor for each file that the guest knows.
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  const VmSetUp set_up = {.realtime_nanoseconds = 0,
                          .memory_bytes = strtoll(argv[2], nullptr, 10),
                          .processes = strtoll(argv[3], nullptr, 10)};
  VmCommands commands;
  std::vector<char*>* command = nullptr;
  for (int i = 4; i < argc; ++i) {
    if (strcmp(argv[i], "--") == 0) {
      command = command == nullptr ? &commands.files : &commands.machine;
    } else if (command != nullptr) {
      command->push_back(argv[i]);
    }
  }
  if (commands.files.empty() || commands.machine.empty()) return 1;
  commands.files.push_back(nullptr);
  commands.machine.push_back(nullptr);
  // Before there are children.
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_SETMASK, &children, nullptr);
  const int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) End(std::string("the relay cannot hear signals: ") + strerror(errno));
  std::string error;
  const std::unique_ptr<VmMachine> machine = VmMachine::Start(commands, error);
  if (machine == nullptr) End(error);
  Relay(set_up, argv[1], signals, *machine).Run();
}
