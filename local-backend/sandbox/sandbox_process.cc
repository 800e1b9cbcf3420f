#include "local-backend/sandbox/sandbox_process.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
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

absl::StatusOr<SandboxProcess> LaunchSandbox(Zygote& zygote, Zygote::Order order,
                                             UniqueFd control) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  SandboxProcess process;
  process.diagnostics.Reset(pipe_ends[0]);
  const UniqueFd diagnostics(pipe_ends[1]);
  order.diagnostics = diagnostics.get();
  ASSIGN_OR_RETURN(process.pid, zygote.Fork(order));
  // glibc 2.36 declares pidfd_open without C linkage.
  process.pid_fd.Reset(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  if (!process.pid_fd.is_open()) {
    const int error = errno;
    kill(process.pid, SIGKILL);
    waitpid(process.pid, nullptr, 0);
    return absl::ErrnoToStatus(error, "pidfd_open");
  }
  process.control = std::move(control);
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
