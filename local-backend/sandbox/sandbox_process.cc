#include "local-backend/sandbox/sandbox_process.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

// Between fork and exec of a program with threads: only calls that are safe in a signal handler.
[[noreturn]] void Complain(const char* what, int error) {
  const char* const words[] = {what, ": ", strerrordesc_np(error), "\n"};
  for (const char* word : words) {
    if (word != nullptr && write(STDERR_FILENO, word, strlen(word)) < 0) break;
  }
  _exit(1);
}

// Moves the caller, which has one thread, into groups of version 1. By "tasks": a thread that moves
// itself need not wait until no thread anywhere is being made, which takes up to 10 ms.
void EnterGroups(const RunCgroup& cgroup) {
  for (const std::string& file : cgroup.task_files()) {
    const int fd = open(file.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) Complain("cannot enter the run's cgroup", errno);
    close(fd);
  }
}

// A child in the group of version 2, if there is one.
pid_t ForkInto(const RunCgroup* cgroup) {
  if (cgroup == nullptr || cgroup->clone_fd() < 0) return _Fork();
  clone_args arguments = {};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<uint64_t>(cgroup->clone_fd());
  return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof arguments));
}

[[noreturn]] void Child(char* const* argv, const SandboxLaunch& launch, int null, int diagnostics) {
  if (dup2(launch.input < 0 ? null : launch.input, 0) < 0 || dup2(null, 1) < 0 ||
      dup2(diagnostics, 2) < 0)
    _exit(1);
  if (launch.cgroup != nullptr) EnterGroups(*launch.cgroup);
  if (setns(launch.network, CLONE_NEWNET) != 0) Complain("cannot enter the network", errno);
  if (unshare(CLONE_NEWNS) != 0) Complain("cannot make a mount namespace", errno);
  if (move_mount(launch.root, "", AT_FDCWD, launch.mount_point.c_str(), MOVE_MOUNT_F_EMPTY_PATH) !=
      0) {
    Complain("cannot attach the root file system", errno);
  }
  for (const int fd : launch.inherited) fcntl(fd, F_SETFD, 0);
  execv(argv[0], argv);
  Complain(argv[0], errno);
}

}  // namespace

absl::StatusOr<SandboxProcess> LaunchSandbox(SandboxLaunch launch) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  SandboxProcess process;
  process.diagnostics.Reset(pipe_ends[0]);
  const UniqueFd diagnostics(pipe_ends[1]);
  const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.is_open()) return absl::ErrnoToStatus(errno, "open /dev/null");
  std::vector<char*> argv;
  for (std::string& word : launch.command) argv.push_back(word.data());
  argv.push_back(nullptr);
  process.pid = ForkInto(launch.cgroup);
  if (process.pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (process.pid == 0) {
    Child(argv.data(), launch, null.get(), diagnostics.get());
  }
  // glibc 2.36 declares pidfd_open without C linkage.
  process.pid_fd.Reset(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  if (!process.pid_fd.is_open()) {
    const int error = errno;
    kill(process.pid, SIGKILL);
    waitpid(process.pid, nullptr, 0);
    return absl::ErrnoToStatus(error, "pidfd_open");
  }
  process.control = std::move(launch.control);
  return process;
}

namespace {

ssize_t Send(int control, absl::string_view bytes, const std::vector<int>& descriptors, int flags) {
  iovec part = {.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  alignas(cmsghdr) char attached[CMSG_SPACE(3 * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = attached;
    message.msg_controllen = sizeof attached;
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
  }
  ssize_t sent;
  do {
    sent = sendmsg(control, &message, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

}  // namespace

ssize_t SendSome(int control, absl::string_view bytes, const std::vector<int>& descriptors) {
  return Send(control, bytes, descriptors, MSG_DONTWAIT);
}

absl::Status SendFrame(int control, FrameType type, const std::string& payload,
                       const std::vector<int>& descriptors) {
  const FrameHeader header = {.type = type, .size = static_cast<uint32_t>(payload.size())};
  std::string frame(reinterpret_cast<const char*>(&header), sizeof header);
  frame += payload;
  absl::string_view left = frame;
  while (!left.empty()) {
    // The descriptors go with the first byte.
    const ssize_t sent =
        Send(control, left, left.size() == frame.size() ? descriptors : std::vector<int>(), 0);
    if (sent <= 0) return absl::UnavailableError("the sandbox is gone");
    left.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> EncodeStart(uint32_t spid, uint32_t uid, uint32_t gid,
                                        const std::string& cwd,
                                        const std::vector<std::string>& argv,
                                        const std::vector<std::string>& environment,
                                        const RunRlimits& rlimits) {
  if (argv.empty()) return absl::InvalidArgumentError("there is no command");
  const StartRequest request = {.spid = spid,
                                .uid = uid,
                                .gid = gid,
                                .argument_count = static_cast<uint32_t>(argv.size()),
                                .environment_count = static_cast<uint32_t>(environment.size()),
                                .rlimits = rlimits};
  std::string payload(reinterpret_cast<const char*>(&request), sizeof request);
  const auto append = [&payload](const std::string& text) -> absl::Status {
    if (text.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError(
          "a NUL character in the command, its arguments, its environment or its directory");
    }
    payload.append(text.c_str(), text.size() + 1);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(append(cwd));
  for (const std::string& word : argv) RETURN_IF_ERROR(append(word));
  for (const std::string& entry : environment) RETURN_IF_ERROR(append(entry));
  if (payload.size() > kMaxFrameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the command and its environment are larger than ", kMaxFrameBytes, " bytes"));
  }
  return payload;
}

}  // namespace contree
