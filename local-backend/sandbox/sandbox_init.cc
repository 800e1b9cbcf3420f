// The init process (pid 1) of a sandbox: starts what the backend asks for, reaps everything,
// reports how it ended. Linked statically and without the C++ runtime: it runs inside images that
// hold nothing of ours.
//
//   argv[1]: the descriptor of the socket to the backend (sandbox_init_protocol.h); or
//   --kernel-log: says what the kernel logged, and ends; or
//   --kernel-command-line: says what it was started with, and ends

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "local-backend/sandbox/sandbox_init_protocol.h"

namespace {

using contree::ExitedReply;
using contree::FrameHeader;
using contree::FrameType;
using contree::kMainProcess;
using contree::kMaxFrameBytes;
using contree::SignalRequest;
using contree::StartedReply;
using contree::StartRequest;

constexpr int kMaxProcesses = 1024;  // that the backend may have asked for at once
constexpr rlim_t kOpenFiles = 1024;  // a command may raise it
constexpr int kCannotRun = 126;      // as shells have it
constexpr int kNotFound = 127;

struct Process {
  uint32_t spid;
  pid_t pid;
};
Process processes[kMaxProcesses];
int process_count = 0;
int backend = -1;

// The backend is gone, or talks nonsense: nothing in here may outlive that.
[[noreturn]] void End() { _exit(0); }

void Send(FrameType type, const void* payload, uint32_t size) {
  char frame[sizeof(FrameHeader) + sizeof(ExitedReply)];
  const FrameHeader header = {type, size};
  memcpy(frame, &header, sizeof header);
  memcpy(frame + sizeof header, payload, size);
  const size_t total = sizeof header + size;
  size_t sent = 0;
  while (sent < total) {
    const ssize_t n = send(backend, frame + sent, total - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) End();
    sent += static_cast<size_t>(n);
  }
}

void Receive(void* into, size_t size) {
  size_t got = 0;
  while (got < size) {
    const ssize_t n = recv(backend, static_cast<char*>(into) + got, size - got, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) End();
    got += static_cast<size_t>(n);
  }
}

// The header and the descriptors that came with it (-1 where none did).
FrameHeader ReceiveHeader(int descriptors[3]) {
  FrameHeader header;
  iovec part = {&header, sizeof header};
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))];
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n;
  do {
    n = recvmsg(backend, &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n <= 0) End();
  for (int i = 0; i < 3; ++i) descriptors[i] = -1;
  const cmsghdr* attached = CMSG_FIRSTHDR(&message);
  if (attached != nullptr && attached->cmsg_type == SCM_RIGHTS &&
      attached->cmsg_len == CMSG_LEN(3 * sizeof(int))) {
    memcpy(descriptors, CMSG_DATA(attached), 3 * sizeof(int));
  }
  if (static_cast<size_t>(n) < sizeof header) {
    Receive(reinterpret_cast<char*>(&header) + n, sizeof header - static_cast<size_t>(n));
  }
  if (header.size > kMaxFrameBytes) End();
  return header;
}

void Say(const char* text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) return;
}

[[noreturn]] void Fail(int code, const char* what, const char* name, int error) {
  Say("contree: ");
  Say(what);
  Say(name);
  Say(": ");
  Say(strerror(error));
  Say("\n");
  _exit(code);
}

// bubblewrap leaves the bounding set whole. With no_new_privs nothing can be gained from it; still,
// what this process was not given shall not be in there.
void DropBoundingSet() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return;
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    const bool is_ours = (sets[capability / 32].permitted >> (capability % 32) & 1U) != 0;
    if (!is_ours) prctl(PR_CAPBSET_DROP, capability);
  }
}

// Makes a directory and its missing parents.
void MakeDirectories(const char* path) {
  char* copy = strdup(path);
  if (copy == nullptr) return;
  for (char* c = copy + 1; *c != '\0'; ++c) {
    if (*c != '/') continue;
    *c = '\0';
    mkdir(copy, 0755);
    *c = '/';
  }
  mkdir(copy, 0755);
  free(copy);
}

void Bound(int resource, uint64_t value) {
  if (value == 0) return;
  const rlimit limit = {value, value};
  setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

[[noreturn]] void Become(const StartRequest& request, const char* cwd, char** argv, char** env,
                         const int descriptors[3]) {
  setsid();
  for (int i = 0; i < 3; ++i) {
    if (dup2(descriptors[i], i) < 0) _exit(kCannotRun);
  }
  syscall(SYS_close_range, 3U, ~0U, 0U);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  Bound(RLIMIT_DATA, request.rlimits.data_bytes);
  Bound(RLIMIT_FSIZE, request.rlimits.file_bytes);
  Bound(RLIMIT_NPROC, request.rlimits.processes);
  // What the backend allows itself is no default for programs that walk over all they may open.
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > kOpenFiles) {
    files.rlim_cur = kOpenFiles;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  umask(022);
  if (chdir(cwd) != 0) {
    MakeDirectories(cwd);
    if (chdir(cwd) != 0) Fail(kCannotRun, "cannot enter the directory ", cwd, errno);
  }
  const gid_t group = request.gid;
  if (setgroups(1, &group) != 0 || setresgid(request.gid, request.gid, request.gid) != 0 ||
      setresuid(request.uid, request.uid, request.uid) != 0) {
    Fail(kCannotRun, "cannot take on the user id or group id", "", errno);
  }
  environ = env;
  execvp(argv[0], argv);  // looks at the PATH in environ
  const int error = errno;
  Fail(error == ENOENT || error == ENOTDIR ? kNotFound : kCannotRun, "cannot run ", argv[0], error);
}

void Start(const char* payload, uint32_t size, const int descriptors[3]) {
  StartRequest request;
  if (size < sizeof request || payload[size - 1] != '\0' || descriptors[0] < 0) End();
  memcpy(&request, payload, sizeof request);
  const size_t pointers =
      static_cast<size_t>(request.argument_count) + request.environment_count + 2;
  if (request.argument_count == 0 || pointers > kMaxFrameBytes) End();
  char** argv = static_cast<char**>(calloc(pointers, sizeof(char*)));
  if (argv == nullptr) End();
  char** env = argv + request.argument_count + 1;
  const char* next = payload + sizeof request;
  const char* const end = payload + size;
  const auto take = [&next, end] {
    if (next >= end) End();
    const char* taken = next;
    next += strlen(taken) + 1;
    return const_cast<char*>(taken);
  };
  const char* cwd = take();
  for (uint32_t i = 0; i < request.argument_count; ++i) argv[i] = take();
  for (uint32_t i = 0; i < request.environment_count; ++i) env[i] = take();

  StartedReply reply = {request.spid, -1, EAGAIN};
  if (process_count < kMaxProcesses) {
    const pid_t child = fork();
    if (child == 0) Become(request, cwd, argv, env, descriptors);
    reply.pid = child;
    reply.error_number = child < 0 ? errno : 0;
    if (child > 0) processes[process_count++] = {request.spid, child};
  }
  for (int i = 0; i < 3; ++i) close(descriptors[i]);
  free(argv);
  Send(FrameType::kStarted, &reply, sizeof reply);
  if (reply.pid < 0 && request.spid == kMainProcess) End();
}

void Signal(const char* payload, uint32_t size) {
  SignalRequest request;
  if (size != sizeof request) End();
  memcpy(&request, payload, sizeof request);
  if (request.spid == 0) {
    kill(-1, request.signal);  // all but this process
    return;
  }
  for (int i = 0; i < process_count; ++i) {
    if (processes[i].spid != request.spid) continue;
    // Its session's group; until it has called setsid there is none, and the process stands alone.
    if (kill(-processes[i].pid, request.signal) != 0) kill(processes[i].pid, request.signal);
  }
}

int64_t Microseconds(const timeval& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000 + time.tv_usec;
}

void Reap() {
  while (true) {
    int status;
    rusage usage;
    const pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid <= 0) return;
    for (int i = 0; i < process_count; ++i) {
      if (processes[i].pid != pid) continue;
      const ExitedReply reply = {
          .spid = processes[i].spid,
          .wait_status = status,
          .user_microseconds = Microseconds(usage.ru_utime),
          .system_microseconds = Microseconds(usage.ru_stime),
          .max_rss_kilobytes = usage.ru_maxrss,
          .minor_faults = usage.ru_minflt,
          .major_faults = usage.ru_majflt,
          .block_input_operations = usage.ru_inblock,
          .block_output_operations = usage.ru_oublock,
          .voluntary_switches = usage.ru_nvcsw,
          .involuntary_switches = usage.ru_nivcsw,
      };
      processes[i] = processes[--process_count];
      Send(FrameType::kExited, &reply, sizeof reply);
      if (reply.spid == kMainProcess) End();
      break;
    }
  }
}

int ShowKernelLog() {
  constexpr int kReadAll = 3;
  static char log[64 * 1024];
  const int size = klogctl(kReadAll, log, sizeof log);
  if (size < 0) return 2;
  return write(STDOUT_FILENO, log, static_cast<size_t>(size)) == size ? 0 : 3;
}

int ShowKernelCommandLine() {
  char line[4096];
  const int file = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
  const ssize_t size = file < 0 ? -1 : read(file, line, sizeof line);
  if (size < 0) return 2;
  return write(STDOUT_FILENO, line, static_cast<size_t>(size)) == size ? 0 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 1;
  if (strcmp(argv[1], "--kernel-log") == 0) return ShowKernelLog();
  if (strcmp(argv[1], "--kernel-command-line") == 0) return ShowKernelCommandLine();
  // A command could reach through /proc/1 for this process's memory and socket, and speak for it;
  // not any more.
  prctl(PR_SET_DUMPABLE, 0);
  DropBoundingSet();
  // Only the socket is ours: what else was open belongs to the machinery that made the sandbox.
  backend = 3;
  if (dup2(atoi(argv[1]), backend) < 0) return 1;
  fcntl(backend, F_SETFD, FD_CLOEXEC);
  syscall(SYS_close_range, 4U, ~0U, 0U);
  const int null = open("/dev/null", O_RDWR);
  if (null < 0) return 1;
  for (int i = 0; i < 3; ++i) dup2(null, i);
  close(null);

  sigset_t child_ended;
  sigemptyset(&child_ended);
  sigaddset(&child_ended, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child_ended, nullptr);
  const int signals = signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return 1;
  while (true) {
    pollfd entries[2] = {{backend, POLLIN, 0}, {signals, POLLIN, 0}};
    if (poll(entries, 2, -1) < 0 && errno != EINTR) return 1;
    if (entries[1].revents != 0) {
      signalfd_siginfo ignored;
      while (read(signals, &ignored, sizeof ignored) > 0) {
      }
      Reap();
    }
    if (entries[0].revents != 0) {
      int descriptors[3];
      const FrameHeader header = ReceiveHeader(descriptors);
      char* payload = static_cast<char*>(malloc(header.size + 1));
      if (payload == nullptr) End();
      Receive(payload, header.size);
      if (header.type == FrameType::kStart) Start(payload, header.size, descriptors);
      if (header.type == FrameType::kSignal) Signal(payload, header.size);
      free(payload);
    }
  }
}
