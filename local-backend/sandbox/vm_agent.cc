// The agent: process 1 of a virtual machine's guest. Makes the run's root file system, which the
// machine shares, the root of a namespace, starts the init of every tier (sandbox_init.cc) in it,
// and stands between that and the relay beside the virtual machine (vm_link_protocol.h). What the
// init's processes do can be ended without ending the agent: they do not see it.
//
// Linked statically; it finds /init (itself), /sandbox_init, and /modules/00 and so on: the
// kernel's modules in the order in which they are to be loaded.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
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
using contree::kMaxVmFailure;
using contree::LimitsReply;
using contree::StartRequest;
using contree::VmFrameHeader;
using contree::VmFrameType;
using contree::VmLink;
using contree::VmSetUp;
using contree::VmStream;
using contree::VmStreamNumber;

constexpr char kRoot[] = "/root";
constexpr char kGroup[] = "/groups/run";
// What the init finds its socket as.
constexpr int kInitSocket = 3;
// What a process that has ended may have left in its pipe.
constexpr size_t kPipeBytes = 64 * 1024;
// A port takes this long, at most, to appear after its driver, and to be told of its other end.
constexpr int kPortMilliseconds = 30'000;

// As in every tier; bubblewrap.cc has them by name.
constexpr int kCapabilities[] = {
    CAP_AUDIT_WRITE,      CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FOWNER,  CAP_FSETID, CAP_KILL,
    CAP_NET_BIND_SERVICE, CAP_SETFCAP, CAP_SETGID,       CAP_SETPCAP, CAP_SETUID, CAP_SYS_CHROOT,
};

int port = -1;

[[noreturn]] void Stop() {
  // Process 1 must not end: the relay ends the virtual machine.
  while (true) pause();
}

// For where nothing can be told to the relay: it hears the machine's end, and what was said before.
[[noreturn]] void EndMachine() {
  reboot(RB_AUTOBOOT);
  Stop();
}

[[noreturn]] void Fail(const std::string& what, int error = errno) {
  const std::string text = what + ": " + strerror(error);
  fprintf(stderr, "contree: %s\n", text.c_str());
  if (port < 0) EndMachine();
  const std::string_view said = std::string_view(text).substr(0, kMaxVmFailure);
  const VmFrameHeader header = {
      .type = VmFrameType::kFailed, .stream = 0, .size = static_cast<uint32_t>(said.size())};
  std::string frame(reinterpret_cast<const char*>(&header), sizeof header);
  frame += said;
  fcntl(port, F_SETFL, O_RDWR);
  if (write(port, frame.data(), frame.size()) < 0) EndMachine();
  Stop();
}

void Mount(const char* source, const char* target, const char* type, unsigned long flags,
           const char* options) {
  mkdir(target, 0755);
  if (mount(source, target, type, flags, options) != 0) Fail(std::string("cannot mount ") + target);
}

void LoadModules() {
  for (int i = 0; i < 100; ++i) {
    char path[32];
    snprintf(path, sizeof path, "/modules/%02d", i);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    if (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST) {
      Fail(std::string("cannot load the kernel module ") + path);
    }
    close(file);
  }
}

// A port whose other end the guest was not told of yet looks as if that had hung up.
void AwaitOtherEnd(int opened) {
  for (int waited = 0; waited < kPortMilliseconds; ++waited) {
    pollfd polled = {.fd = opened, .events = POLLOUT, .revents = 0};
    if (poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) == 0) return;
    usleep(1000);
  }
  Fail("nobody is at the other end of the serial port", ENOTCONN);
}

// -1: there is none yet.
int TryOpenPort() {
  DIR* const devices = opendir("/dev");
  if (devices == nullptr) return -1;
  int opened = -1;
  while (const dirent* entry = readdir(devices)) {
    if (strncmp(entry->d_name, "vport", 5) != 0) continue;
    const std::string path = std::string("/dev/") + entry->d_name;
    opened = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK);
    // The kernel shows a port before it finds it itself, and says until then that there is none.
    if (opened < 0 && errno != ENXIO) Fail("cannot open the serial port");
    break;
  }
  closedir(devices);
  return opened;
}

int OpenPort() {
  for (int waited = 0; waited < kPortMilliseconds; ++waited) {
    if (const int opened = TryOpenPort(); opened >= 0) {
      AwaitOtherEnd(opened);
      return opened;
    }
    usleep(1000);
  }
  Fail("there is no serial port", ENODEV);
}

void BringLoopbackUp() {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (any < 0 || ioctl(any, SIOCSIFFLAGS, &request) != 0) Fail("cannot bring loopback up");
  close(any);
}

void WriteFile(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    Fail("cannot write " + path);
  }
  close(file);
}

// The group that holds the run apart from the agent: where memory runs out, it is the run's.
void MakeGroup(const VmSetUp& set_up) {
  Mount("none", "/groups", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  WriteFile("/groups/cgroup.subtree_control", "+memory +pids");
  if (mkdir(kGroup, 0755) != 0) Fail("cannot make the run's cgroup");
  const std::string group = kGroup;
  if (set_up.memory_bytes > 0) {
    WriteFile(group + "/memory.max", std::to_string(set_up.memory_bytes));
  }
  if (set_up.processes > 0) {
    // The init is one of them.
    WriteFile(group + "/pids.max", std::to_string(set_up.processes + 1));
  }
}

int64_t CountIn(const char* file, const char* name) {
  FILE* const lines = fopen((std::string(kGroup) + "/" + file).c_str(), "re");
  if (lines == nullptr) return 0;
  char found[64];
  long long count;
  int64_t result = 0;
  while (fscanf(lines, "%63s %lld", found, &count) == 2) {
    if (strcmp(found, name) == 0) result = count;
  }
  fclose(lines);
  return result;
}

void MakeDevices() {
  struct Device {
    const char* name;
    unsigned major, minor;
  };
  for (const Device& device :
       {Device{"null", 1, 3}, Device{"zero", 1, 5}, Device{"full", 1, 7}, Device{"random", 1, 8},
        Device{"urandom", 1, 9}, Device{"tty", 5, 0}}) {
    const std::string path = std::string("/dev/") + device.name;
    if (mknod(path.c_str(), S_IFCHR | 0666, makedev(device.major, device.minor)) != 0) {
      Fail("cannot make " + path);
    }
  }
  struct Link {
    const char* target;
    const char* name;
  };
  for (const Link& link :
       {Link{"/proc/self/fd", "/dev/fd"}, Link{"/proc/self/fd/0", "/dev/stdin"},
        Link{"/proc/self/fd/1", "/dev/stdout"}, Link{"/proc/self/fd/2", "/dev/stderr"},
        Link{"/proc/kcore", "/dev/core"}, Link{"pts/ptmx", "/dev/ptmx"}}) {
    if (symlink(link.target, link.name) != 0) Fail(std::string("cannot make ") + link.name);
  }
  Mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666");
  Mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

void KeepCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  for (const int capability : kCapabilities) {
    const uint32_t bit = uint32_t{1} << (capability % 32);
    sets[capability / 32].permitted |= bit;
    sets[capability / 32].effective |= bit;
  }
  // What process 1 of a namespace hands on is bounded by what the init bounds itself by.
  if (syscall(SYS_capset, &header, sets) != 0) Fail("cannot give up capabilities");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail("cannot forbid new privileges");
}

[[noreturn]] void BecomeInit(int init, int socket, const std::string& hostname) {
  setsid();
  WriteFile(std::string(kGroup) + "/cgroup.procs", "0");
  if (unshare(CLONE_NEWCGROUP) != 0) Fail("cannot make a cgroup namespace");
  if (sethostname(hostname.data(), hostname.size()) != 0) Fail("cannot set the hostname");
  if (chdir(kRoot) != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || chroot(".") != 0 ||
      chdir("/") != 0) {
    Fail("cannot enter the root file system");
  }
  Mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  // As bubblewrap has it: the guest's own kernel is not the command's to configure.
  for (const char* path : {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq"}) {
    if (mount(path, path, nullptr, MS_BIND, nullptr) != 0) continue;
    mount(nullptr, path, nullptr,
          MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  }
  Mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755");
  MakeDevices();
  mount(nullptr, "/dev", nullptr, MS_REMOUNT | MS_RDONLY | MS_NOSUID, nullptr);
  KeepCapabilities();
  if (dup2(socket, kInitSocket) < 0) Fail("dup2");
  char name[] = "sandbox_init";
  char socket_number[] = {'0' + kInitSocket, '\0'};
  char* const argv[] = {name, socket_number, nullptr};
  char* const environment[] = {nullptr};
  syscall(SYS_execveat, init, "", argv, environment, AT_EMPTY_PATH);
  Fail("cannot run the init");
}

// What the relay says to the init, and the init to the relay.
class Agent {
 public:
  Agent() : link_(VmLink::Side::kAgent, port) {}

  [[noreturn]] void Run() {
    link_.Send(VmFrameType::kReady, 0, {});
    while (true) {
      std::vector<pollfd> polls;
      link_.AppendTo(polls);
      const size_t at = polls.size();
      polls.push_back({.fd = init_socket_, .events = POLLIN, .revents = 0});
      if (poll(polls.data(), polls.size(), delayed_.empty() ? -1 : kDelayMilliseconds) < 0 &&
          errno != EINTR) {
        Fail("poll");
      }
      // In this order: what a process said before it ended goes before its end.
      if (polls[at].revents != 0) HearInit();
      SendDelayed();
      if (!link_.Handle(polls.data(), [this](const VmFrameHeader& header, std::string_view text) {
            return OnFrame(header, text);
          })) {
        Fail("the serial port has closed", EPIPE);
      }
      if (init_has_ended_ && !link_.has_sources()) Finish();
    }
  }

 private:
  static constexpr int kDelayMilliseconds = 5;

  // The end of a process whose last words wait for credit.
  struct Delayed {
    uint32_t spid;
    std::string frame;
    size_t out_budget = kPipeBytes;
    size_t err_budget = kPipeBytes;
  };

  bool OnFrame(const VmFrameHeader& header, std::string_view payload) {
    if (header.type == VmFrameType::kSetUp) {
      VmSetUp set_up;
      if (init_pid_ > 0 || payload.size() < sizeof set_up) return false;
      memcpy(&set_up, payload.data(), sizeof set_up);
      SetUp(set_up, std::string(payload.substr(sizeof set_up)));
      return true;
    }
    if (header.type != VmFrameType::kControl || payload.size() < sizeof(FrameHeader)) return false;
    TellInit(payload);
    return true;
  }

  void SetUp(const VmSetUp& set_up, const std::string& hostname) {
    const timespec now = {.tv_sec = set_up.realtime_nanoseconds / 1'000'000'000,
                          .tv_nsec = set_up.realtime_nanoseconds % 1'000'000'000};
    clock_settime(CLOCK_REALTIME, &now);
    MakeGroup(set_up);
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) Fail("socketpair");
    const int init = open("/sandbox_init", O_RDONLY | O_CLOEXEC);
    if (init < 0) Fail("there is no init");
    constexpr unsigned long kNamespaces =
        CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
    init_pid_ = static_cast<pid_t>(syscall(SYS_clone, kNamespaces, nullptr, nullptr, nullptr, 0));
    if (init_pid_ < 0) Fail("cannot make namespaces");
    if (init_pid_ == 0) BecomeInit(init, sockets[1], hostname);
    close(sockets[1]);
    close(init);
    init_socket_ = sockets[0];
  }

  void TellInit(std::string_view frame) {
    if (init_socket_ < 0) return;
    FrameHeader header;
    memcpy(&header, frame.data(), sizeof header);
    std::vector<int> theirs;
    StartRequest request;
    if (header.type == FrameType::kStart && frame.size() >= sizeof header + sizeof request) {
      memcpy(&request, frame.data() + sizeof header, sizeof request);
      theirs = MakePipes(request.spid);
    }
    iovec part = {.iov_base = const_cast<char*>(frame.data()), .iov_len = frame.size()};
    alignas(cmsghdr) char attached[CMSG_SPACE(3 * sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!theirs.empty()) {
      message.msg_control = attached;
      message.msg_controllen = sizeof attached;
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(3 * sizeof(int));
      memcpy(CMSG_DATA(rights), theirs.data(), 3 * sizeof(int));
    }
    while (part.iov_len > 0) {
      // The init reads at once; where it has ended, its end is seen below.
      const ssize_t sent = sendmsg(init_socket_, &message, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) break;
      part.iov_base = static_cast<char*>(part.iov_base) + sent;
      part.iov_len -= static_cast<size_t>(sent);
      message.msg_control = nullptr;
      message.msg_controllen = 0;
    }
    for (const int fd : theirs) close(fd);
  }

  // Our ends become the link's.
  std::vector<int> MakePipes(uint32_t spid) {
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
      Fail("cannot make pipes");
    }
    for (const int ours : {in[1], out[0], err[0]}) fcntl(ours, F_SETFL, O_NONBLOCK);
    link_.AddSink(VmStreamNumber(spid, VmStream::kStdin), in[1]);
    link_.AddSource(VmStreamNumber(spid, VmStream::kStdout), out[0]);
    link_.AddSource(VmStreamNumber(spid, VmStream::kStderr), err[0]);
    return {in[0], out[1], err[1]};
  }

  void HearInit() {
    char bytes[4096];
    const ssize_t got = recv(init_socket_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
      close(init_socket_);
      init_socket_ = -1;
      while (waitpid(init_pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
      init_has_ended_ = true;
      return;
    }
    said_.append(bytes, static_cast<size_t>(got));
    FrameHeader header;
    while (said_.size() >= sizeof header) {
      memcpy(&header, said_.data(), sizeof header);
      if (header.size > sizeof(ExitedReply)) Fail("the init talks nonsense", EPROTO);
      const size_t size = sizeof header + header.size;
      if (said_.size() < size) return;
      HearFrame(header, said_.substr(0, size));
      said_.erase(0, size);
    }
  }

  void HearFrame(const FrameHeader& header, std::string frame) {
    if (header.type == FrameType::kExited && header.size == sizeof(ExitedReply)) {
      ExitedReply reply;
      memcpy(&reply, frame.data() + sizeof header, sizeof reply);
      // The command's streams come to their ends before the sandbox does.
      if (reply.spid != kMainProcess) {
        delayed_.push_back({.spid = reply.spid, .frame = std::move(frame)});
        return;
      }
    }
    link_.Send(VmFrameType::kControl, 0, frame);
  }

  void SendDelayed() {
    for (auto delayed = delayed_.begin(); delayed != delayed_.end();) {
      const bool out =
          link_.Drain(VmStreamNumber(delayed->spid, VmStream::kStdout), delayed->out_budget);
      const bool err =
          link_.Drain(VmStreamNumber(delayed->spid, VmStream::kStderr), delayed->err_budget);
      if (!out || !err) {
        ++delayed;
        continue;
      }
      link_.Send(VmFrameType::kControl, 0, delayed->frame);
      delayed = delayed_.erase(delayed);
    }
  }

  [[noreturn]] void Finish() {
    // What was written by way of memory maps is with the kernel still.
    sync();
    if (umount2(kRoot, 0) != 0) Fail("cannot unmount the root file system");
    const LimitsReply limits = {.out_of_memory_kills = CountIn("memory.events", "oom_kill"),
                                .refused_processes = CountIn("pids.events", "max")};
    link_.Send(VmFrameType::kDone, 0,
               std::string_view(reinterpret_cast<const char*>(&limits), sizeof limits));
    while (link_.unsent() > 0) {
      std::vector<pollfd> polls;
      link_.AppendTo(polls);
      poll(polls.data(), 1, 1000);
      if (!link_.Handle(polls.data(),
                        [](const VmFrameHeader&, std::string_view) { return true; })) {
        break;
      }
    }
    Stop();
  }

  VmLink link_;
  pid_t init_pid_ = -1;
  int init_socket_ = -1;
  bool init_has_ended_ = false;
  std::string said_;
  std::deque<Delayed> delayed_;
};

}  // namespace

int main() {
  signal(SIGPIPE, SIG_IGN);
  umask(0);  // devices are for everybody; what the init starts has its own
  Mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, nullptr);
  LoadModules();
  port = OpenPort();
  Mount("root", kRoot, "virtiofs", MS_NODEV, nullptr);
  BringLoopbackUp();
  Agent().Run();
}
