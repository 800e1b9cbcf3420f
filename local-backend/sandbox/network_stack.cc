// The network stack of one sandbox, a process of its own: turns the frames of the sandbox's tap
// device into sockets of this user, by libslirp. It reads what a hostile command sends, so it first
// gives up all that it does not need: files, privileges, most system calls. It lives until it is
// killed.

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "local-backend/sandbox/network_addresses.h"
#include "local-backend/sandbox/network_frames.h"
#include "local-backend/sandbox/network_stack_protocol.h"

namespace contree {
namespace {

constexpr int kFramesAtOnce = 64;
constexpr size_t kMaxFrame = 65'535 + 14;
constexpr uid_t kNobody = 65'534;
constexpr rlim_t kMaxDescriptors = 4096;
constexpr rlim_t kMaxMemory = rlim_t{1} << 30;

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  _exit(1);
}

std::string ReadResolvConf() {
  std::string text;
  FILE* file = fopen("/etc/resolv.conf", "re");
  char buffer[4096];
  size_t got;
  while (file != nullptr && text.size() < 65'536 &&
         (got = fread(buffer, 1, sizeof buffer, file)) > 0) {
    text.append(buffer, got);
  }
  if (file != nullptr) fclose(file);
  return text;
}

// A root directory with nothing in it but the file that libslirp asks for the nameserver.
void EnterEmptyRoot() {
  const std::string resolv_conf = ReadResolvConf();
  if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) != 0) Fail("unshare");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Fail("private mounts");
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("tmpfs", "/tmp", "tmpfs", kFlags, "size=256k,mode=755") != 0) Fail("tmpfs");
  if (mkdir("/tmp/etc", 0755) != 0) Fail("/etc");
  FILE* file = fopen("/tmp/etc/resolv.conf", "we");
  if (file == nullptr ||
      fwrite(resolv_conf.data(), 1, resolv_conf.size(), file) != resolv_conf.size() ||
      fchmod(fileno(file), 0644) != 0 || fclose(file) != 0) {
    Fail("resolv.conf");
  }
  if (mount(nullptr, "/tmp", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kFlags, nullptr) != 0) {
    Fail("read-only root");
  }
  if (chroot("/tmp") != 0 || chdir("/") != 0) Fail("chroot");
}

void GiveUpPrivileges() {
  const rlimit no_core = {0, 0};
  const rlimit descriptors = {kMaxDescriptors, kMaxDescriptors};
  const rlimit memory = {kMaxMemory, kMaxMemory};
  setrlimit(RLIMIT_CORE, &no_core);
  setrlimit(RLIMIT_NOFILE, &descriptors);
  setrlimit(RLIMIT_AS, &memory);
  // With the user id go all capabilities.
  if (setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0 ||
      setresuid(kNobody, kNobody, kNobody) != 0) {
    Fail("changing the user");
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail("no_new_privs");
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) Fail("death signal");
}

void AllowOnlyWhatAStackNeeds() {
  constexpr const char* kAllowed[] = {
      "accept",       "accept4",        "bind",         "brk",          "clock_gettime",
      "close",        "connect",        "exit",         "exit_group",   "fcntl",
      "fstat",        "futex",          "getpeername",  "getpid",       "getrandom",
      "getsockname",  "getsockopt",     "gettid",       "gettimeofday", "listen",
      "lseek",        "madvise",        "mmap",         "mprotect",     "mremap",
      "munmap",       "newfstatat",     "openat",       "poll",         "ppoll",
      "read",         "readv",          "recvfrom",     "recvmsg",      "restart_syscall",
      "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sendmsg",      "sendto",
      "setsockopt",   "shutdown",       "socket",       "stat",         "statx",
      "time",         "tgkill",         "write",        "writev",
  };
  const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == nullptr) Fail("seccomp");
  for (const char* name : kAllowed) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR) seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
  }
  seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                   SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, 0x541bU));  // FIONREAD
  seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                   SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, 0x5421U));  // FIONBIO
  const int result = seccomp_load(filter);
  if (result != 0) {
    errno = -result;
    Fail("seccomp");
  }
  seccomp_release(filter);
}

// The event loop around libslirp.
class Stack {
 public:
  Stack(int tap, NetworkCounters& counters)
      : tap_(tap), counters_(counters), forbidden_(ForbiddenAddresses::OfThisMachine()) {
    callbacks_.send_packet = [](const void* frame, size_t size, void* self) {
      return static_cast<Stack*>(self)->Deliver(frame, size);
    };
    callbacks_.guest_error = [](const char*, void*) {};
    callbacks_.clock_get_ns = [](void*) {
      timespec now;
      clock_gettime(CLOCK_MONOTONIC, &now);
      return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
    };
    // Timers are for router advertisements, of which there are none.
    callbacks_.timer_new = [](SlirpTimerCb, void*, void*) -> void* { return malloc(1); };
    callbacks_.timer_free = [](void* timer, void*) { free(timer); };
    callbacks_.timer_mod = [](void*, int64_t, void*) {};
    callbacks_.register_poll_fd = [](int, void*) {};
    callbacks_.unregister_poll_fd = [](int, void*) {};
    callbacks_.notify = [](void*) {};
    SlirpConfig config = {};
    config.version = 3;
    config.in_enabled = true;
    inet_pton(AF_INET, "10.0.2.0", &config.vnetwork);
    inet_pton(AF_INET, "255.255.255.0", &config.vnetmask);
    inet_pton(AF_INET, kGatewayAddress, &config.vhost);
    inet_pton(AF_INET, kNameserverAddress, &config.vnameserver);
    inet_pton(AF_INET, kGuestAddress, &config.vdhcp_start);
    config.if_mtu = kTapMtu;
    config.if_mru = kTapMtu;
    config.disable_host_loopback = true;
    slirp_ = slirp_new(&config, &callbacks_, this);
    if (slirp_ == nullptr) Fail("slirp_new");
  }

  [[noreturn]] void Run() {
    while (true) {
      polled_.clear();
      polled_.push_back({.fd = tap_, .events = POLLIN, .revents = 0});
      uint32_t timeout_ms = 60'000;
      slirp_pollfds_fill(slirp_, &timeout_ms, &AddPoll, this);
      const int ready = poll(polled_.data(), polled_.size(), static_cast<int>(timeout_ms));
      if (ready < 0 && errno != EINTR) Fail("poll");
      const bool tap_is_ready = ready > 0 && polled_[0].revents != 0;
      slirp_pollfds_poll(slirp_, ready < 0 ? 1 : 0, &Events, this);
      if (tap_is_ready) ReadTap();
    }
  }

 private:
  static int AddPoll(int fd, int events, void* self) {
    auto& polled = static_cast<Stack*>(self)->polled_;
    short wanted = 0;
    if ((events & SLIRP_POLL_IN) != 0) wanted |= POLLIN;
    if ((events & SLIRP_POLL_OUT) != 0) wanted |= POLLOUT;
    if ((events & SLIRP_POLL_PRI) != 0) wanted |= POLLPRI;
    polled.push_back({.fd = fd, .events = wanted, .revents = 0});
    return static_cast<int>(polled.size() - 1);
  }

  static int Events(int index, void* self) {
    const auto& polled = static_cast<Stack*>(self)->polled_;
    if (index < 0 || index >= static_cast<int>(polled.size())) return 0;
    const short happened = polled[static_cast<size_t>(index)].revents;
    int events = 0;
    if ((happened & POLLIN) != 0) events |= SLIRP_POLL_IN;
    if ((happened & POLLOUT) != 0) events |= SLIRP_POLL_OUT;
    if ((happened & POLLPRI) != 0) events |= SLIRP_POLL_PRI;
    if ((happened & POLLERR) != 0) events |= SLIRP_POLL_ERR;
    if ((happened & POLLHUP) != 0) events |= SLIRP_POLL_HUP;
    return events;
  }

  // What the tap does not take is lost, as on any wire.
  ssize_t Deliver(const void* frame, size_t size) {
    const ssize_t written = write(tap_, frame, size);
    if (written > 0) {
      ++counters_.received_packets;
      counters_.received_bytes += written;
    }
    return static_cast<ssize_t>(size);
  }

  void ReadTap() {
    char frame[kMaxFrame];
    for (int i = 0; i < kFramesAtOnce; ++i) {
      const ssize_t got = read(tap_, frame, sizeof frame);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) _exit(0);  // the sandbox is gone
      const std::string_view bytes(frame, static_cast<size_t>(got));
      switch (JudgeFrame(bytes, forbidden_)) {
        case FrameVerdict::kPass:
          ++counters_.sent_packets;
          counters_.sent_bytes += got;
          slirp_input(slirp_, reinterpret_cast<const uint8_t*>(frame), static_cast<int>(got));
          break;
        case FrameVerdict::kRefuse:
          if (const std::string refusal = RefusalOf(bytes); !refusal.empty()) {
            Deliver(refusal.data(), refusal.size());
          }
          break;
        case FrameVerdict::kIgnore:
          break;
      }
    }
  }

  const int tap_;
  NetworkCounters& counters_;
  const ForbiddenAddresses forbidden_;
  SlirpCb callbacks_ = {};
  Slirp* slirp_ = nullptr;
  std::vector<pollfd> polled_;
};

}  // namespace
}  // namespace contree

int main() {
  signal(SIGPIPE, SIG_IGN);
  void* shared = mmap(nullptr, sizeof(contree::NetworkCounters), PROT_READ | PROT_WRITE, MAP_SHARED,
                      contree::kCountersDescriptor, 0);
  if (shared == MAP_FAILED) contree::Fail("counters");
  contree::Stack stack(contree::kTapDescriptor, *static_cast<contree::NetworkCounters*>(shared));
  contree::EnterEmptyRoot();
  contree::GiveUpPrivileges();
  contree::AllowOnlyWhatAStackNeeds();
  stack.Run();
}
