#include "local-backend/sandbox/zygote.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/zygote_image.h"
#include "local-backend/sandbox/zygote_protocol.h"

namespace contree {
namespace {

// Without an answer for so long it is taken for dead.
constexpr timeval kPatience = {.tv_sec = 20, .tv_usec = 0};

struct Spawned {
  int error = 0;
  pid_t pid = -1;
};

Spawned Spawn(int program, const std::vector<std::string>& words, int socket, int filter,
              int init) {
  // Copies above those that they are to be: one, or the program, could be in the place of another.
  const UniqueFd program_copy(fcntl(program, F_DUPFD_CLOEXEC, 10));
  const std::string path = absl::StrCat("/proc/self/fd/", program_copy.get());
  const UniqueFd socket_copy(fcntl(socket, F_DUPFD_CLOEXEC, 10));
  const UniqueFd filter_copy(fcntl(filter, F_DUPFD_CLOEXEC, 10));
  const UniqueFd init_copy(fcntl(init, F_DUPFD_CLOEXEC, 10));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, socket_copy.get(), kZygoteSocket);
  posix_spawn_file_actions_adddup2(&actions, filter_copy.get(), kZygoteFilter);
  posix_spawn_file_actions_adddup2(&actions, init_copy.get(), kZygoteInit);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<std::string> copies = words;
  std::vector<char*> argv;
  for (std::string& word : copies) argv.push_back(word.data());
  argv.push_back(nullptr);
  char* const no_environment[] = {nullptr};
  Spawned spawned;
  spawned.error =
      posix_spawn(&spawned.pid, path.c_str(), &actions, &attributes, argv.data(), no_environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return spawned;
}

absl::StatusOr<ZygoteReply> ReceiveReply(int socket) {
  ZygoteReply reply;
  ssize_t got;
  do {
    got = recv(socket, &reply, sizeof reply, 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof reply) return absl::UnavailableError("the zygote of sandboxes is gone");
  return reply;
}

}  // namespace

Zygote::Zygote(EventLoop& parent, UniqueFd program, UniqueFd filter, UniqueFd init,
               std::vector<std::string> programs, std::string outside_mount_point)
    : parent_(parent),
      program_(std::move(program)),
      filter_(std::move(filter)),
      init_(std::move(init)),
      programs_(std::move(programs)),
      outside_mount_point_(std::move(outside_mount_point)) {}

absl::StatusOr<std::unique_ptr<Zygote>> Zygote::Start(EventLoop& parent,
                                                      const std::string& mount_point,
                                                      const std::vector<std::string>& programs,
                                                      UniqueFd filter, UniqueFd init) {
  ASSIGN_OR_RETURN(UniqueFd program, MakeZygoteFile());
  std::unique_ptr<Zygote> zygote(new Zygote(parent, std::move(program), std::move(filter),
                                            std::move(init), programs, mount_point));
  const absl::MutexLock lock(&zygote->mutex_);
  zygote->mount_point_ = kZygoteMountPoint;
  zygote->has_own_root_ = true;
  if (zygote->StartProcess(/*own_root=*/true).ok()) return zygote;
  // A bubblewrap from elsewhere, or a machine that is laid out otherwise.
  zygote->mount_point_ = mount_point;
  zygote->has_own_root_ = false;
  RETURN_IF_ERROR(zygote->StartProcess(/*own_root=*/false));
  return zygote;
}

Zygote::~Zygote() {
  const absl::MutexLock lock(&mutex_);
  EndProcess();
}

absl::Status Zygote::StartProcess(bool own_root) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  socket_.Reset(sockets[0]);
  const UniqueFd theirs(sockets[1]);
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  std::vector<std::string> words = {"contree-zygote", outside_mount_point_,
                                    own_root ? "own-root" : "host-root"};
  words.insert(words.end(), programs_.begin(), programs_.end());
  Spawned spawned;
  absl::Notification done;
  parent_.Post([&] {
    spawned = Spawn(program_.get(), words, theirs.get(), filter_.get(), init_.get());
    done.Notify();
  });
  done.WaitForNotification();
  if (spawned.error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot start the zygote of sandboxes: ", strerror(spawned.error)));
  }
  pid_ = spawned.pid;
  const absl::StatusOr<ZygoteReply> hello = ReceiveReply(socket_.get());
  if (hello.ok() && hello->error_number == 0) return absl::OkStatus();
  EndProcess();
  return absl::FailedPreconditionError(
      absl::StrCat("the zygote of sandboxes does not start",
                   hello.ok() ? absl::StrCat(": ", strerror(hello->error_number)) : ""));
}

void Zygote::EndProcess() {
  socket_.Reset();
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

absl::StatusOr<pid_t> Zygote::Ask(const std::string& message, const std::vector<int>& descriptors) {
  iovec part = {.iov_base = const_cast<char*>(message.data()), .iov_len = message.size()};
  alignas(cmsghdr) char attached[CMSG_SPACE(
      (kAttachedCount + 1 + kMaxAttachedGroups + kMaxAttachedFiles) * sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = attached;
  header.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
  memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size() * sizeof(int));
  ssize_t sent;
  do {
    sent = sendmsg(socket_.get(), &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return absl::UnavailableError("the zygote of sandboxes is gone");
  ASSIGN_OR_RETURN(const ZygoteReply reply, ReceiveReply(socket_.get()));
  if (reply.pid > 0) return reply.pid;
  const std::string why =
      absl::StrCat("no process can be made for a sandbox: ", strerror(reply.error_number));
  const bool is_short = reply.error_number == EAGAIN || reply.error_number == ENOMEM;
  return is_short ? absl::ResourceExhaustedError(why) : absl::InternalError(why);
}

absl::StatusOr<pid_t> Zygote::Fork(const Order& order) {
  std::vector<int> descriptors = {order.root, order.network, order.control, order.diagnostics};
  static_assert(kAttachedRoot == 0 && kAttachedNetwork == 1 && kAttachedControl == 2 &&
                kAttachedDiagnostics == 3 && kAttachedCount == 4);
  ZygoteRequest request = {.argument_count = static_cast<uint32_t>(order.command.size()),
                           .has_clone_group = 0,
                           .task_file_count = 0,
                           .data_count = static_cast<uint32_t>(order.data.size()),
                           .control_is_stdin = order.control_is_stdin ? 1u : 0u};
  std::vector<UniqueFd> task_files;
  if (order.cgroup != nullptr) {
    if (order.cgroup->clone_fd() >= 0) {
      request.has_clone_group = 1;
      descriptors.push_back(order.cgroup->clone_fd());
    }
    for (const std::string& path : order.cgroup->task_files()) {
      task_files.emplace_back(open(path.c_str(), O_WRONLY | O_CLOEXEC));
      if (!task_files.back().is_open()) {
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
      }
      descriptors.push_back(task_files.back().get());
    }
    request.task_file_count = static_cast<uint32_t>(task_files.size());
  }
  descriptors.insert(descriptors.end(), order.data.begin(), order.data.end());
  std::string message(reinterpret_cast<const char*>(&request), sizeof request);
  for (const std::string& word : order.command) message.append(word.c_str(), word.size() + 1);
  if (message.size() > kMaxZygoteMessage || task_files.size() > kMaxAttachedGroups ||
      order.data.size() > kMaxAttachedFiles) {
    return absl::InternalError("a command of bubblewrap that is too long");
  }
  const absl::MutexLock lock(&mutex_);
  absl::StatusOr<pid_t> child = absl::UnavailableError("there is no zygote");
  if (socket_.is_open()) child = Ask(message, descriptors);
  if (!absl::IsUnavailable(child.status())) return child;
  // Somebody has ended it, or the kernel for want of memory. A child that it may have made of this
  // order finds its socket closed, and ends.
  EndProcess();
  RETURN_IF_ERROR(StartProcess(has_own_root_));
  return Ask(message, descriptors);
}

}  // namespace contree
