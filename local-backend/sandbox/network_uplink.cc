#include "local-backend/sandbox/network_uplink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/network_addresses.h"
#include "local-backend/sandbox/network_namespace.h"
#include "local-backend/sandbox/network_stack_image.h"
#include "local-backend/sandbox/network_stack_protocol.h"

namespace contree {
namespace {

constexpr int kProbeTimeoutMs = 5000;
constexpr size_t kMaxSmallFile = 1 << 20;

void EndStack(pid_t pid) {
  if (pid <= 0) return;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// A file for the counters.
absl::StatusOr<UniqueFd> MakeCountersFile() {
  UniqueFd file(memfd_create("network_counters", MFD_CLOEXEC));
  if (!file.is_open() || ftruncate(file.get(), sizeof(NetworkCounters)) != 0) {
    return absl::ErrnoToStatus(errno, "memfd_create");
  }
  return file;
}

// Who has the gateway's address? asks the sandbox's.
std::string ArpRequest() {
  const std::string mac("\x52\x54\x00\x00\x00\x01", 6);
  in_addr guest;
  in_addr gateway;
  inet_pton(AF_INET, kGuestAddress, &guest);
  inet_pton(AF_INET, kGatewayAddress, &gateway);
  return absl::StrCat(
      std::string(6, '\xff'), mac, std::string("\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10), mac,
      absl::string_view(reinterpret_cast<const char*>(&guest), 4), std::string(6, '\0'),
      absl::string_view(reinterpret_cast<const char*>(&gateway), 4));
}

std::string FirstLineOf(int fd) {
  std::string text(4096, '\0');
  const ssize_t got = read(fd, text.data(), text.size());
  text.resize(static_cast<size_t>(std::max<ssize_t>(0, got)));
  return std::string(absl::StripAsciiWhitespace(text.substr(0, text.find('\n'))));
}

absl::Status Probe(const NetworkStackProgram& program) {
  int frames[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, frames) != 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  const UniqueFd ours(frames[0]);
  UniqueFd theirs(frames[1]);
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  const UniqueFd complaints(pipe_ends[0]);
  UniqueFd their_stderr(pipe_ends[1]);
  ASSIGN_OR_RETURN(const UniqueFd counters, MakeCountersFile());
  ASSIGN_OR_RETURN(const pid_t pid,
                   program.Start(theirs.get(), counters.get(), their_stderr.get()));
  const absl::Cleanup end = [pid] { EndStack(pid); };
  theirs.Reset();
  their_stderr.Reset();
  const std::string request = ArpRequest();
  const bool asked = send(ours.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
                     static_cast<ssize_t>(request.size());
  pollfd entry = {.fd = ours.get(), .events = POLLIN, .revents = 0};
  char answer[2048];
  if (asked && poll(&entry, 1, kProbeTimeoutMs) == 1 &&
      recv(ours.get(), answer, sizeof answer, 0) > 0) {
    return absl::OkStatus();
  }
  const std::string said = FirstLineOf(complaints.get());
  return absl::FailedPreconditionError(
      absl::StrCat("the network stack of sandboxes does not answer", said.empty() ? "" : ": ", said,
                   absl::StrContains(said, "libslirp") ? "; install the package libslirp0" : ""));
}

}  // namespace

bool NamesANameserver(absl::string_view resolv_conf) {
  for (absl::string_view line : absl::StrSplit(resolv_conf, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    in_addr address;
    if (words.size() >= 2 && words[0] == "nameserver" &&
        inet_pton(AF_INET, words[1].c_str(), &address) == 1) {
      return true;
    }
  }
  return false;
}

absl::StatusOr<std::unique_ptr<NetworkStackProgram>> NetworkStackProgram::Create() {
  RETURN_IF_ERROR(MakeNetworkNamespace(/*with_tap=*/true).status());
  ASSIGN_OR_RETURN(UniqueFd file, MakeNetworkStackFile());
  std::unique_ptr<NetworkStackProgram> program(new NetworkStackProgram(
      std::move(file), NamesANameserver(ReadFile("/etc/resolv.conf", kMaxSmallFile).value_or(""))));
  RETURN_IF_ERROR(Probe(*program));
  return program;
}

absl::StatusOr<pid_t> NetworkStackProgram::Start(int tap, int counters, int complaints) const {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Copies above those that they are to be: one, or the program, could be in the place of another.
  const UniqueFd program_copy(fcntl(program_.get(), F_DUPFD_CLOEXEC, 10));
  const std::string path = absl::StrCat("/proc/self/fd/", program_copy.get());
  const UniqueFd tap_copy(fcntl(tap, F_DUPFD_CLOEXEC, 10));
  const UniqueFd counters_copy(fcntl(counters, F_DUPFD_CLOEXEC, 10));
  const UniqueFd complaints_copy(fcntl(complaints, F_DUPFD_CLOEXEC, 10));
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, complaints_copy.get(), 2);
  posix_spawn_file_actions_adddup2(&actions, tap_copy.get(), kTapDescriptor);
  posix_spawn_file_actions_adddup2(&actions, counters_copy.get(), kCountersDescriptor);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char name[] = "contree-network";
  char* const argv[] = {name, nullptr};
  char* const environment[] = {nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, path.c_str(), &actions, &attributes, argv, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return absl::ErrnoToStatus(error, "cannot start a network stack");
  return pid;
}

NetworkUplink::NetworkUplink(UniqueFd tap, const NetworkStackProgram& program)
    : program_(program), tap_(std::move(tap)) {}

NetworkUplink::~NetworkUplink() {
  EndStack(pid_);
  if (counters_ != nullptr) munmap(counters_, sizeof *counters_);
}

void NetworkUplink::Begin() {
  const UniqueFd tap = std::move(tap_);
  const absl::StatusOr<UniqueFd> file = MakeCountersFile();
  if (!file.ok()) {
    status_ = file.status();
    return;
  }
  void* shared =
      mmap(nullptr, sizeof(NetworkCounters), PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0);
  if (shared == MAP_FAILED) {
    status_ = absl::ErrnoToStatus(errno, "mmap");
    return;
  }
  counters_ = new (shared) NetworkCounters{};
  const UniqueFd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  const absl::StatusOr<pid_t> pid = program_.Start(tap.get(), file->get(), null.get());
  status_ = pid.status();
  if (pid.ok()) pid_ = *pid;
}

NetworkTraffic NetworkUplink::traffic() const {
  if (counters_ == nullptr) return {};
  return {.sent_bytes = counters_->sent_bytes,
          .sent_packets = counters_->sent_packets,
          .received_bytes = counters_->received_bytes,
          .received_packets = counters_->received_packets};
}

absl::Status NetworkUplink::Check() {
  if (pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == pid_) {
    pid_ = -1;
    status_ = absl::UnavailableError("the network stack of the sandbox died");
  }
  return status_;
}

}  // namespace contree
