// What a hostile command would try, as a program that runs inside a sandbox. Each attack prints one
// line: "refused" or "ESCAPED: what it got". Linked statically, as images hold no libraries.
//
//   escape_attacks ATTACK [ARGUMENT...]

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <initializer_list>

namespace {

int escapes = 0;

__attribute__((format(printf, 1, 2))) void Escaped(const char* format, ...) {
  ++escapes;
  va_list arguments;
  va_start(arguments, format);
  fputs("ESCAPED: ", stdout);
  vprintf(format, arguments);  // NOLINT(clang-analyzer-valist.Uninitialized): it is set above
  fputs("\n", stdout);
  va_end(arguments);
}

int Finish() {
  if (escapes == 0) puts("refused");
  return escapes == 0 ? 0 : 1;
}

bool Reads(const char* path, const char* secret) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  char text[256] = {};
  const bool found = read(fd, text, sizeof text - 1) > 0 && strstr(text, secret) != nullptr;
  close(fd);
  return found;
}

// ATTACK host-file PATH SECRET: the file of the host, by every way that may lead there.
int HostFile(const char* path, const char* secret) {
  char other[8192];
  if (Reads(path, secret)) Escaped("%s by its path", path);
  constexpr int kUp = 64;
  other[0] = '/';
  for (int i = 0; i < kUp; ++i) memcpy(other + 1 + 3 * i, "../", 3);
  snprintf(other + 1 + 3 * kUp, sizeof other - 1 - 3 * kUp, "%s", path + 1);
  if (Reads(other, secret)) Escaped("by ..");
  // A link that is absolute, one that climbs.
  unlink("/link");
  if (symlink(path, "/link") == 0 && Reads("/link", secret)) Escaped("by a symbolic link");
  unlink("/link");
  if (symlink(other, "/link") == 0 && Reads("/link", secret)) Escaped("by a climbing link");
  if (link(path, "/hard") == 0) Escaped("by a hard link");
  // Through the processes that can be seen, and through all descriptors.
  for (int pid = 1; pid < 5000; ++pid) {
    for (const char* way : {"root", "cwd"}) {
      snprintf(other, sizeof other, "/proc/%d/%s%s", pid, way, path);
      if (Reads(other, secret)) Escaped("by %s", other);
      snprintf(other, sizeof other, "/proc/%d/%s/../../../../../../../../..%s", pid, way, path);
      if (Reads(other, secret)) Escaped("by %s", other);
    }
    if (pid > 64) continue;
    for (int fd = 0; fd < 64; ++fd) {
      snprintf(other, sizeof other, "/proc/%d/fd/%d/../../../../../../../../../..%s", pid, fd,
               path);
      if (Reads(other, secret)) Escaped("by %s", other);
      snprintf(other, sizeof other, "/proc/%d/fd/%d", pid, fd);
      if (Reads(other, secret)) Escaped("by %s", other);
    }
  }
  for (int fd = 3; fd < 256; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) Escaped("descriptor %d was left open", fd);
  }
  // Out of a chroot inside the root: with CAP_SYS_CHROOT one gets to the root of the mount
  // namespace, which must be that of the sandbox.
  mkdir("/jail", 0755);
  const int outside = open("/", O_RDONLY | O_DIRECTORY);
  if (chroot("/jail") == 0 && fchdir(outside) == 0) {
    for (int i = 0; i < 64; ++i) {
      if (chdir("..") != 0) break;
    }
    if (chroot(".") == 0 && Reads(path, secret)) Escaped("by chroot");
  }
  return Finish();
}

// ATTACK devices: making nodes of the host's devices, and opening those that are there.
int Devices() {
  struct Node {
    mode_t type;
    unsigned major;
    unsigned minor;
  };
  for (const Node& node :
       {Node{S_IFCHR, 1, 1}, Node{S_IFCHR, 1, 3}, Node{S_IFCHR, 10, 200}, Node{S_IFCHR, 10, 232},
        Node{S_IFBLK, 8, 0}, Node{S_IFBLK, 253, 0}, Node{S_IFBLK, 254, 0}, Node{S_IFBLK, 259, 0}}) {
    for (const char* path : {"/node", "/dev/node", "/dev/shm/node", "/tmp/node"}) {
      unlink(path);
      if (mknod(path, node.type | 0666, makedev(node.major, node.minor)) != 0) continue;
      Escaped("made %s for %u:%u", path, node.major, node.minor);
      if (open(path, O_RDWR | O_NONBLOCK) >= 0) Escaped("and opened it");
    }
  }
  for (const char* path : {"/dev/mem", "/dev/kmem", "/dev/port", "/dev/kvm", "/dev/kmsg",
                           "/dev/net/tun", "/dev/fuse", "/dev/vda", "/dev/sda", "/dev/loop0",
                           "/dev/loop-control", "/dev/mapper/control", "/dev/uinput", "/dev/vsock",
                           "/dev/vhost-net", "/proc/kcore", "/proc/kmsg", "/proc/sysrq-trigger"}) {
    if (open(path, O_RDWR | O_NONBLOCK) >= 0) Escaped("opened %s", path);
  }
  for (const char* path : {"/proc/kcore", "/proc/kmsg", "/proc/timer_list", "/proc/keys"}) {
    const int fd = open(path, O_RDONLY | O_NONBLOCK);
    char text[64];
    if (fd >= 0 && read(fd, text, sizeof text) > 0) Escaped("read %s", path);
  }
  return Finish();
}

// ATTACK open PATH: opening a device node that is part of the image.
int Open(const char* path) {
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
    if (open(path, flags | O_NONBLOCK) >= 0) Escaped("opened %s", path);
  }
  return Finish();
}

struct Call {
  const char* name;
  long number;
  long arguments[6];
};

const char kText[] = "/tmp";
char scratch[4096];
long Address(const void* pointer) { return reinterpret_cast<long>(pointer); }

// Refused means: before the kernel looked at what was asked. Any other error means that the
// interface was reached.
void MustBeRefused(const char* name, long result, int error) {
  if (result >= 0) {
    Escaped("%s works", name);
  } else if (error != EPERM && error != ENOSYS && error != EAFNOSUPPORT) {
    Escaped("%s is reached: %s", name, strerror(error));
  }
}

#if defined(__x86_64__)
// By the entry for 32-bit programs, where numbers are others.
long CallAs32Bit(long number, long first, long second, long third) {
  long result;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(third)
               : "memory", "r8", "r9", "r10", "r11");
  return static_cast<int>(result);
}
#endif

// ATTACK system-calls: the kernel's interfaces that no command needs.
int SystemCalls() {
  const long text = Address(kText);
  const long out = Address(scratch);
  const Call calls[] = {
    {"acct", SYS_acct, {0}},
    {"add_key", SYS_add_key, {Address("user"), Address("k"), out, 4, -4}},
    {"bpf", SYS_bpf, {0, out, 64}},
    {"clock_adjtime", SYS_clock_adjtime, {0, out}},
    {"clock_settime", SYS_clock_settime, {0, out}},
    {"delete_module", SYS_delete_module, {Address("x"), 0}},
    {"fanotify_init", SYS_fanotify_init, {0, 0}},
    {"finit_module", SYS_finit_module, {0, Address(""), 0}},
    {"fsconfig", SYS_fsconfig, {0, 0, 0, 0, 0}},
    {"fsmount", SYS_fsmount, {0, 0, 0}},
    {"fsopen", SYS_fsopen, {Address("tmpfs"), 0}},
    {"fspick", SYS_fspick, {AT_FDCWD, text, 0}},
    {"init_module", SYS_init_module, {out, 1, Address("")}},
    {"io_uring_setup", SYS_io_uring_setup, {4, out}},
    {"io_uring_enter", SYS_io_uring_enter, {0, 0, 0, 0, 0, 0}},
    {"io_uring_register", SYS_io_uring_register, {0, 0, 0, 0}},
    {"kcmp", SYS_kcmp, {1, 1, 0, 0, 0}},
    {"kexec_load", SYS_kexec_load, {0, 0, 0, 0}},
    {"keyctl", SYS_keyctl, {0, -3, 0}},
    {"mbind", SYS_mbind, {out, 4096, 0, 0, 0, 0}},
    {"migrate_pages", SYS_migrate_pages, {0, 0, 0, 0}},
    {"mount", SYS_mount, {Address("none"), text, Address("tmpfs"), 0, 0}},
    {"mount_setattr", SYS_mount_setattr, {AT_FDCWD, text, 0, out, 32}},
    {"move_mount", SYS_move_mount, {AT_FDCWD, text, AT_FDCWD, text, 0}},
    {"move_pages", SYS_move_pages, {0, 0, 0, 0, 0, 0}},
    {"name_to_handle_at", SYS_name_to_handle_at, {AT_FDCWD, text, out, out, 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {AT_FDCWD, out, 0}},
    {"open_tree", SYS_open_tree, {AT_FDCWD, text, 1}},
    {"perf_event_open", SYS_perf_event_open, {out, 0, -1, -1, 0}},
    {"pidfd_getfd", SYS_pidfd_getfd, {0, 0, 0}},
    {"pivot_root", SYS_pivot_root, {text, text}},
    {"process_madvise", SYS_process_madvise, {0, 0, 0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {1, 0, 0, 0, 0, 0}},
    {"process_vm_writev", SYS_process_vm_writev, {1, 0, 0, 0, 0, 0}},
    {"ptrace attach", SYS_ptrace, {16, 1, 0, 0}},
    {"ptrace traceme", SYS_ptrace, {0, 0, 0, 0}},
    {"quotactl", SYS_quotactl, {0, 0, 0, 0}},
    {"reboot", SYS_reboot, {0, 0, 0, 0}},  // with the wrong magic numbers, in case it is reached
    {"request_key", SYS_request_key, {Address("user"), Address("k"), 0, -4}},
    {"set_mempolicy", SYS_set_mempolicy, {0, 0, 0}},
    {"setns", SYS_setns, {0, 0}},
    {"settimeofday", SYS_settimeofday, {0, 0}},
    {"swapoff", SYS_swapoff, {text}},
    {"swapon", SYS_swapon, {text, 0}},
    {"syslog", SYS_syslog, {3, out, 16}},
    {"umount2", SYS_umount2, {text, MNT_DETACH}},
    {"unshare user", SYS_unshare, {CLONE_NEWUSER}},
    {"unshare mount", SYS_unshare, {CLONE_NEWNS}},
    {"unshare net", SYS_unshare, {CLONE_NEWNET}},
    {"unshare nothing", SYS_unshare, {0}},
    {"userfaultfd", SYS_userfaultfd, {0}},
    {"vhangup", SYS_vhangup, {0}},
    {"clone3", SYS_clone3, {out, 64}},
    {"TIOCSTI", SYS_ioctl, {0, TIOCSTI, out}},
    {"TIOCSTI with more bits", SYS_ioctl, {0, static_cast<long>(0xdead0000'00005412), out}},
    {"TIOCLINUX", SYS_ioctl, {0, TIOCLINUX, out}},
#if defined(__x86_64__)
    {"ioperm", SYS_ioperm, {0x80, 1, 1}},
    {"iopl", SYS_iopl, {3}},
    {"kexec_file_load", SYS_kexec_file_load, {0, 0, 0, 0, 0}},
#endif
    {"AF_ALG", SYS_socket, {AF_ALG, SOCK_SEQPACKET, 0}},
    {"AF_BLUETOOTH", SYS_socket, {AF_BLUETOOTH, SOCK_RAW, 1}},
    {"AF_CAN", SYS_socket, {AF_CAN, SOCK_RAW, 1}},
    {"AF_KEY", SYS_socket, {AF_KEY, SOCK_RAW, 2}},
    {"AF_PACKET", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"AF_RDS", SYS_socket, {AF_RDS, SOCK_SEQPACKET, 0}},
    {"AF_TIPC", SYS_socket, {AF_TIPC, SOCK_RDM, 0}},
    {"AF_VSOCK", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"AF_XDP", SYS_socket, {44, SOCK_RAW, 0}},
    {"raw IP", SYS_socket, {AF_INET, SOCK_RAW, 255}},
    {"raw ICMP", SYS_socket, {AF_INET, SOCK_RAW, 1}},
  };
  for (const Call& call : calls) {
    const long* a = call.arguments;
    errno = 0;
    const long result = syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
    MustBeRefused(call.name, result, errno);
  }
  for (const int flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
                         CLONE_NEWPID, CLONE_NEWNET}) {
    for (const long more : {0L, static_cast<long>(0xbeef'0000'0000'0000)}) {
      const long result = syscall(SYS_clone, more | flag | SIGCHLD, 0, 0, 0, 0);
      if (result == 0) _exit(0);
      char name[32];
      snprintf(name, sizeof name, "clone with %#x", static_cast<unsigned>(flag));
      MustBeRefused(name, result, errno);
    }
  }
#if defined(__x86_64__)
  struct Call32 {
    const char* name;
    long number;
    long first;
    long second;
    long third;
  };
  // Pointers of this program do not fit; those that matter need none.
  for (const Call32& call :
       {Call32{"32-bit unshare", 310, CLONE_NEWUSER, 0, 0}, Call32{"32-bit mount", 21, 0, 0, 0},
        Call32{"32-bit umount2", 52, 0, 0, 0}, Call32{"32-bit ptrace", 26, 0, 0, 0},
        Call32{"32-bit bpf", 357, 0, 0, 0}, Call32{"32-bit keyctl", 288, 0, -3, 0},
        Call32{"32-bit perf_event_open", 336, 0, 0, 0},
        Call32{"32-bit AF_VSOCK", 359, AF_VSOCK, SOCK_STREAM, 0},
        Call32{"32-bit socketcall", 102, 1, 0, 0}, Call32{"32-bit clone3", 435, 0, 0, 0},
        Call32{"32-bit clone", 120, CLONE_NEWUSER | SIGCHLD, 0, 0}}) {
    const pid_t child = fork();  // it may be killed for it
    if (child == 0) {
      const long result = CallAs32Bit(call.number, call.first, call.second, call.third);
      const bool refused = result == -EPERM || result == -ENOSYS || result == -EAFNOSUPPORT;
      _exit(refused ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) Escaped("%s is reached", call.name);
  }
  // By the numbers of the x32 programs.
  for (const long number : {SYS_unshare, SYS_mount, SYS_bpf, SYS_setns}) {
    const pid_t child = fork();
    if (child == 0) {
      const long result = syscall(0x40000000L | number, CLONE_NEWUSER, 0, 0, 0, 0);
      _exit(result < 0 && (errno == EPERM || errno == ENOSYS) ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) Escaped("x32 call %ld is reached", number);
  }
#endif
  return Finish();
}

// ATTACK processes: seeing or signalling any process that is not of the sandbox.
int Processes() {
  const int own = getpid();
  const int parent = getppid();
  for (int pid = 2; pid < 70'000; ++pid) {
    if (pid == own || pid == parent) continue;
    if (kill(pid, SIGKILL) == 0) Escaped("signalled process %d", pid);
    if (syscall(SYS_pidfd_open, pid, 0) >= 0) Escaped("opened process %d", pid);
  }
  DIR* proc = opendir("/proc");
  while (const dirent* entry = proc == nullptr ? nullptr : readdir(proc)) {
    const int pid = atoi(entry->d_name);
    if (pid > 1 && pid != own && pid != parent) Escaped("saw process %d", pid);
  }
  if (kill(1, SIGKILL) == 0 && kill(1, SIGSTOP) == 0) {
    // The kernel takes such signals to process 1 and does nothing.
  }
  char path[64];
  for (const char* file : {"mem", "environ", "maps", "syscall", "stack"}) {
    snprintf(path, sizeof path, "/proc/1/%s", file);
    const int fd = open(path, O_RDWR);
    char text[16];
    if (fd >= 0 && read(fd, text, sizeof text) > 0) Escaped("read %s", path);
    if (fd >= 0 && write(fd, text, 1) > 0) Escaped("wrote %s", path);
  }
  return Finish();
}

void WriteMustFail(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, text, strlen(text)) >= 0) Escaped("wrote %s", path);
  close(fd);
}

// ATTACK limits: more than the sandbox was given.
int Limits() {
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    rlimit limit;
    const auto kind = static_cast<__rlimit_resource>(resource);
    if (getrlimit(kind, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) continue;
    const rlimit more = {limit.rlim_max + 1, limit.rlim_max + 1};
    if (setrlimit(kind, &more) == 0) Escaped("raised limit %d", resource);
    const rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(kind, &none) == 0) Escaped("lifted limit %d", resource);
  }
  if (setpriority(PRIO_PROCESS, 0, -20) == 0) Escaped("took a higher priority");
  const sched_param realtime = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &realtime) == 0) Escaped("took real-time priority");
  WriteMustFail("/proc/self/oom_score_adj", "-1000");
  for (const char* path :
       {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/randomize_va_space", "/proc/sys/vm/overcommit_memory",
        "/proc/sys/vm/panic_on_oom", "/proc/sys/fs/file-max", "/proc/sys/user/max_user_namespaces",
        "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity", "/proc/self/uid_map", "/proc/self/setgroups"}) {
    WriteMustFail(path, "1");
  }
  // A hierarchy of cgroups would be the way to other limits.
  for (const char* path : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/tasks",
                           "/sys/fs/cgroup/pids/tasks"}) {
    if (open(path, O_RDONLY) >= 0) Escaped("opened %s", path);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0) Escaped("took back no_new_privs");
  if (prctl(PR_CAPBSET_READ, 21, 0, 0, 0) == 1) Escaped("CAP_SYS_ADMIN can be had");
  return Finish();
}

// ATTACK layer FILE: changing a file of the image for others.
int Layer(const char* path) {
  // All of it works, on the run's own copy; the test looks at the layer afterwards.
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    if (write(fd, "overwritten", 11) != 11) puts("cannot write");
    void* mapped = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) memset(mapped, 'x', 11);
    close(fd);
  }
  chmod(path, 04777);
  if (chown(path, 1234, 1234) != 0) puts("cannot chown");
  setxattr(path, "user.mark", "x", 1, 0);
  if (link(path, "/linked") == 0) truncate("/linked", 0);
  char moved[4096];
  snprintf(moved, sizeof moved, "%s.moved", path);
  rename(path, moved);
  unlink(moved);
  // Marks of overlayfs must not be taken from a command.
  mkdir("/marked", 0755);
  for (const char* name : {"user.overlay.redirect", "user.overlay.opaque", "user.overlay.metacopy",
                           "user.overlay.origin", "user.overlay.whiteout"}) {
    if (setxattr("/marked", name, "/etc", 4, 0) == 0) printf("set %s\n", name);
  }
  return Finish();
}

// ATTACK privileges: whether a setuid program gives any; run as an ordinary user of the image.
int Privileges() {
  if (geteuid() == 0 || setuid(0) == 0) Escaped("became root");
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) Escaped("new privileges are possible");
  return Finish();
}

}  // namespace

int main(int argc, char** argv) {
  const char* attack = argc > 1 ? argv[1] : "";
  setvbuf(stdout, nullptr, _IOLBF, 0);
  if (strcmp(attack, "host-file") == 0 && argc == 4) return HostFile(argv[2], argv[3]);
  if (strcmp(attack, "devices") == 0) return Devices();
  if (strcmp(attack, "open") == 0 && argc == 3) return Open(argv[2]);
  if (strcmp(attack, "system-calls") == 0) return SystemCalls();
  if (strcmp(attack, "processes") == 0) return Processes();
  if (strcmp(attack, "limits") == 0) return Limits();
  if (strcmp(attack, "layer") == 0 && argc == 3) return Layer(argv[2]);
  if (strcmp(attack, "privileges") == 0) return Privileges();
  fprintf(stderr, "no such attack: %s\n", attack);
  return 2;
}
