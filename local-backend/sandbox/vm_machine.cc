#include "local-backend/sandbox/vm_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "local-backend/sandbox/vm_link_protocol.h"

namespace contree {
namespace {

constexpr char kFilesSocket[] = "/run/files";
// QEMU's own user and group: nothing in here is theirs.
constexpr uid_t kQemuUser = 65534;
// Of what is said, the end is kept.
constexpr size_t kMaxSaid = 2048;
// How long QEMU may take to end after virtiofsd.
constexpr int kEndMilliseconds = 1000;

// The same above the descriptors that children find by number.
UniqueFd Above(int fd) {
  const UniqueFd given(fd);
  return UniqueFd(fcntl(given.get(), F_DUPFD_CLOEXEC, 20));
}

// What a child finds open.
struct ChildFiles {
  int output;
  int numbered;  // becomes kVmFilesFd
  int serial;    // becomes kVmSerialFd; -1: none
};

// -1: see errno.
pid_t StartProgram(const std::vector<char*>& command, const ChildFiles& files, bool as_nobody) {
  const pid_t child = fork();
  if (child != 0) return child;
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (dup2(null, 0) < 0 || dup2(files.output, 1) < 0 || dup2(files.output, 2) < 0 ||
      dup2(files.numbered, kVmFilesFd) < 0 ||
      (files.serial >= 0 && dup2(files.serial, kVmSerialFd) < 0)) {
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

std::string HowEnded(const char* name, int status) {
  return std::string(name) + (WIFSIGNALED(status)
                                  ? " by signal " + std::to_string(WTERMSIG(status))
                                  : " with exit code " + std::to_string(WEXITSTATUS(status)));
}

}  // namespace

std::unique_ptr<VmMachine> VmMachine::Start(const VmCommands& commands, std::string& error) {
  const auto failed = [&error](const char* what) {
    error = std::string(what) + ": " + strerror(errno);
    return nullptr;
  };
  int output_pair[2];
  if (pipe2(output_pair, O_CLOEXEC) != 0) return failed("the relay cannot make a pipe");
  UniqueFd output = Above(output_pair[0]);
  const UniqueFd output_end = Above(output_pair[1]);
  int serial_pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, serial_pair) != 0) {
    return failed("the relay cannot make a serial port");
  }
  UniqueFd serial = Above(serial_pair[0]);
  const UniqueFd serial_end = Above(serial_pair[1]);
  if (!output.is_open() || !output_end.is_open() || !serial.is_open() || !serial_end.is_open()) {
    return failed("the relay cannot copy a descriptor");
  }
  fcntl(output.get(), F_SETFL, O_RDONLY | O_NONBLOCK);
  fcntl(serial.get(), F_SETFL, O_RDWR | O_NONBLOCK);
  // virtiofsd takes the descriptor of a socket that listens; the connection waits there for it.
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  memcpy(address.sun_path, kFilesSocket, sizeof kFilesSocket);
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  const UniqueFd listener = Above(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd connection = Above(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (bind(listener.get(), to, sizeof address) != 0 || listen(listener.get(), 1) != 0 ||
      connect(connection.get(), to, sizeof address) != 0) {
    return failed("the relay cannot make a socket");
  }
  const pid_t files =
      StartProgram(commands.files,
                   {.output = output_end.get(), .numbered = listener.get(), .serial = -1}, false);
  if (files < 0) return failed("the relay cannot fork");
  const pid_t machine = StartProgram(
      commands.machine,
      {.output = output_end.get(), .numbered = connection.get(), .serial = serial_end.get()}, true);
  if (machine < 0) return failed("the relay cannot fork");
  return std::unique_ptr<VmMachine>(
      new VmMachine(files, machine, std::move(serial), std::move(output)));
}

void VmMachine::HearOutput() {
  if (!output_.is_open()) return;
  char bytes[4096];
  ssize_t got;
  while ((got = read(output_.get(), bytes, sizeof bytes)) > 0) {
    said_.append(bytes, static_cast<size_t>(got));
    if (said_.size() > kMaxSaid) said_.erase(0, said_.size() - kMaxSaid);
  }
  if (got == 0) output_.Reset();
}

std::string VmMachine::WhatEnded() {
  int files_status = 0;
  bool files_ended = false;
  for (int waited = 0; waited < kEndMilliseconds; ++waited) {
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended == machine_pid_) return HowEnded("QEMU", status);
      if (ended == files_pid_) {
        files_ended = true;
        files_status = status;
      }
    }
    // virtiofsd ends when QEMU does, and may be the first to be seen.
    if (!files_ended) return {};
    usleep(1000);
  }
  return HowEnded("virtiofsd", files_status);
}

}  // namespace contree
