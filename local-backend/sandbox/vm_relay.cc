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
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "local-backend/sandbox/sandbox_init_protocol.h"
#include "local-backend/sandbox/vm_link.h"
#include "local-backend/sandbox/vm_link_protocol.h"

namespace {

using contree::ExitedReply;
using contree::FrameHeader;
using contree::FrameType;
using contree::kMainProcess;
using contree::kMaxFrameBytes;
using contree::kMaxVmSpid;
using contree::kVmFilesFd;
using contree::kVmSerialFd;
using contree::LimitsReply;
using contree::SignalRequest;
using contree::StartedReply;
using contree::StartRequest;
using contree::VmFrameHeader;
using contree::VmFrameType;
using contree::VmLink;
using contree::VmSetUp;
using contree::VmStream;
using contree::VmStreamNumber;

constexpr int kBackend = 3;
constexpr char kFilesSocket[] = "/run/files";
// QEMU's own user and group: nothing in here is theirs.
constexpr uid_t kQemuUser = 65534;
// Of what QEMU, virtiofsd and the guest's kernel say, the end is kept.
constexpr size_t kMaxSaid = 2048;
// How long QEMU may take to end after virtiofsd.
constexpr int kEndMilliseconds = 1000;
// While so much waits for the guest, the backend waits too.
constexpr size_t kEnoughUnsent = 1024 * 1024;

std::string said;

[[noreturn]] void End(const std::string& what) {
  fprintf(stderr, "%s", what.c_str());
  if (!said.empty()) {
    fprintf(stderr, "; it said: ");
    for (const char c : said) fputc(c == '\n' || (c >= ' ' && c <= '~') ? c : '?', stderr);
  }
  fputc('\n', stderr);
  _exit(1);
}

// A descriptor above those that children find by number.
int Above(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 20);
  if (copy < 0) End(std::string("the relay cannot copy a descriptor: ") + strerror(errno));
  close(fd);
  return copy;
}

struct Commands {
  std::vector<char*> files;
  std::vector<char*> machine;
};

pid_t StartProgram(const std::vector<char*>& command, int output, int fd, int becomes,
                   bool as_nobody) {
  const pid_t child = fork();
  if (child < 0) End(std::string("the relay cannot fork: ") + strerror(errno));
  if (child > 0) return child;
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || dup2(fd, becomes) < 0) {
    _exit(126);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // With the user go all capabilities.
  if (as_nobody && (setgroups(0, nullptr) != 0 || setresgid(kQemuUser, kQemuUser, kQemuUser) != 0 ||
                    setresuid(kQemuUser, kQemuUser, kQemuUser) != 0)) {
    dprintf(1, "cannot give up privileges: %s\n", strerror(errno));
    _exit(126);
  }
  char path[] = "PATH=/usr/bin:/bin";
  char temporary[] = "TMPDIR=/tmp";
  char* const environment[] = {path, temporary, nullptr};
  execve(command[0], command.data(), environment);
  dprintf(1, "cannot run %s: %s\n", command[0], strerror(errno));
  _exit(127);
}

class Relay {
 public:
  Relay(VmSetUp set_up, std::string hostname, const Commands& commands)
      : set_up_(set_up),
        hostname_(std::move(hostname)),
        link_(VmLink::Side::kRelay, Launch(commands)) {}

  [[noreturn]] void Run() {
    while (true) {
      std::vector<pollfd> polls;
      link_.AppendTo(polls);
      const size_t at = polls.size();
      const bool hears = !is_done_ && link_.unsent() < kEnoughUnsent;
      polls.push_back({.fd = hears ? kBackend : -1, .events = POLLIN, .revents = 0});
      polls.push_back({.fd = output_, .events = POLLIN, .revents = 0});
      polls.push_back({.fd = signals_, .events = POLLIN, .revents = 0});
      // Done: only what our own pipes take is still of interest.
      if (is_done_) polls[0].fd = -1;
      if (poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) End("the relay cannot poll");
      if (polls[at + 1].revents != 0) HearOutput();
      if (polls[at].revents != 0) HearBackend();
      const bool goes_on =
          link_.Handle(polls.data(), [this](const VmFrameHeader& header, std::string_view payload) {
            return OnFrame(header, payload);
          });
      PassDelayed();
      if (is_done_ && !link_.has_sinks()) Finish();
      if (!goes_on && !is_done_ && link_.broken()) {
        End("the guest sent what its machine's relay does not take");
      }
      if (polls[at + 2].revents != 0 || (!goes_on && !is_done_)) HearSignals(goes_on);
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

  // Our end of the serial port.
  int Launch(const Commands& commands) {
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_SETMASK, &children, nullptr);
    signals_ = Above(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    int output[2], serial[2];
    if (pipe2(output, O_CLOEXEC) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial) != 0) {
      End(std::string("the relay cannot make a pipe: ") + strerror(errno));
    }
    output_ = Above(output[0]);
    const int output_end = Above(output[1]);
    const int ours = Above(serial[0]);
    const int theirs = Above(serial[1]);
    // virtiofsd takes the descriptor of a socket that listens; the connection waits there for it.
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    strcpy(address.sun_path, kFilesSocket);
    const int listener = Above(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int connection = Above(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, 1) != 0 ||
        connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      End(std::string("the relay cannot make a socket: ") + strerror(errno));
    }
    files_pid_ = StartProgram(commands.files, output_end, listener, kVmFilesFd, false);
    close(listener);
    // Two descriptors for one program: the second is put in its place here.
    if (dup2(theirs, kVmSerialFd) < 0) End("the relay cannot copy a descriptor");
    machine_pid_ = StartProgram(commands.machine, output_end, connection, kVmFilesFd, true);
    close(kVmSerialFd);
    close(theirs);
    close(connection);
    close(output_end);
    fcntl(output_, F_SETFL, O_RDONLY | O_NONBLOCK);
    fcntl(ours, F_SETFL, O_RDWR | O_NONBLOCK);
    return ours;
  }

  void HearOutput() {
    char bytes[4096];
    ssize_t got;
    while ((got = read(output_, bytes, sizeof bytes)) > 0) {
      said.append(bytes, static_cast<size_t>(got));
      if (said.size() > kMaxSaid) said.erase(0, said.size() - kMaxSaid);
    }
    if (got == 0) {
      close(output_);
      output_ = -1;
    }
  }

  // Of QEMU or virtiofsd; neither ends by itself unless something is wrong.
  void HearSignals(bool goes_on) {
    signalfd_siginfo ignored;
    while (read(signals_, &ignored, sizeof ignored) > 0) {
    }
    if (!goes_on) usleep(50'000);  // it is about to end
    int status;
    bool files_ended = false;
    for (int waited = 0; waited < kEndMilliseconds; ++waited) {
      const pid_t ended = waitpid(-1, &status, WNOHANG);
      if (ended == machine_pid_) EndOf("QEMU", status);
      if (ended == files_pid_) {
        files_ended = true;
        files_status_ = status;
      }
      if (ended > 0) continue;
      // virtiofsd ends when QEMU does, and may be the first to be seen.
      if (!files_ended) break;
      usleep(1000);
    }
    if (files_ended) EndOf("virtiofsd", files_status_);
    if (!goes_on) End("the virtual machine has closed its serial port");
  }

  void EndOf(const char* name, int status) {
    if (is_done_) return;
    if (output_ >= 0) HearOutput();
    End(std::string("the virtual machine has ended: ") + name +
        (WIFSIGNALED(status) ? " by signal " + std::to_string(WTERMSIG(status))
                             : " with exit code " + std::to_string(WEXITSTATUS(status))));
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
        said.clear();
        for (const char c : payload) said += c;
        End("the guest does not start");
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
  // Before the link: they are set when its descriptor is made.
  int signals_ = -1;
  int output_ = -1;  // of QEMU and virtiofsd
  pid_t files_pid_ = -1;
  pid_t machine_pid_ = -1;
  int files_status_ = 0;
  VmLink link_;
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
  Commands commands;
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
  Relay(set_up, argv[1], commands).Run();
}
