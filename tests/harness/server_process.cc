#include "tests/harness/server_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

extern char** environ;

namespace contree::testing_harness {

std::string Program(const std::string& target) {
  const char* root = getenv("TEST_SRCDIR");
  const char* workspace = getenv("TEST_WORKSPACE");
  if (root == nullptr || workspace == nullptr) return target;
  return absl::StrCat(root, "/", workspace, "/", target);
}

absl::StatusOr<std::unique_ptr<ServerProcess>> ServerProcess::Start(
    std::vector<std::string> command, const std::map<std::string, std::string>& environment) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  UniqueFd output(fds[0]);
  const UniqueFd child_output(fds[1]);

  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string name = std::string(*variable).substr(0, std::string(*variable).find('='));
    if (!environment.contains(name)) variables.emplace_back(*variable);
  }
  for (const auto& [name, value] : environment) variables.push_back(absl::StrCat(name, "=", value));
  std::vector<char*> envp;
  envp.reserve(variables.size() + 1);
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), 2);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", command[0]));
  return std::unique_ptr<ServerProcess>(new ServerProcess(pid, std::move(output)));
}

ServerProcess::ServerProcess(pid_t pid, UniqueFd output)
    : pid_(pid), output_fd_(std::move(output)) {
  reader_ = std::thread([this] { ReadOutput(); });
}

ServerProcess::~ServerProcess() {
  if (!waited_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  reader_.join();
}

void ServerProcess::ReadOutput() {
  char buffer[4096];
  while (true) {
    const ssize_t got = read(output_fd_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    absl::MutexLock lock(&mutex_);
    if (got <= 0) {
      at_end_ = true;
      return;
    }
    output_.append(buffer, static_cast<size_t>(got));
  }
}

absl::StatusOr<std::string> ServerProcess::WaitForLogField(const std::string& field,
                                                           absl::Duration timeout) {
  std::string value;
  const auto find = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const auto& line : absl::StrSplit(output_, '\n')) {
      const auto parsed =
          nlohmann::json::parse(std::string(line), nullptr, /*allow_exceptions=*/false);
      if (parsed.is_object() && parsed.contains(field)) {
        value = parsed[field].is_string() ? parsed[field].get<std::string>() : parsed[field].dump();
        return true;
      }
    }
    return at_end_;
  };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&find), timeout)) {
    return absl::DeadlineExceededError(absl::StrCat("no log line has '", field, "': ", output_));
  }
  if (value.empty())
    return absl::UnavailableError(absl::StrCat("ended before it logged '", field, "': ", output_));
  return value;
}

absl::StatusOr<std::string> ServerProcess::WaitForText(const std::string& text,
                                                       absl::Duration timeout) {
  std::string rest;
  bool found = false;
  const auto find = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const size_t begin = output_.find(text);
    const size_t end = begin == std::string::npos ? begin : output_.find('\n', begin);
    if (end != std::string::npos) {
      found = true;
      rest = output_.substr(begin + text.size(), end - begin - text.size());
    }
    return found || at_end_;
  };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithTimeout(absl::Condition(&find), timeout)) {
    return absl::DeadlineExceededError(absl::StrCat("did not write '", text, "': ", output_));
  }
  if (!found)
    return absl::UnavailableError(absl::StrCat("ended before it wrote '", text, "': ", output_));
  return rest;
}

void ServerProcess::Signal(int signal_number) const { kill(pid_, signal_number); }

absl::StatusOr<int> ServerProcess::Wait(absl::Duration timeout) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  pollfd entry{.fd = process.get(), .events = POLLIN, .revents = 0};
  if (poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) != 1) {
    return absl::DeadlineExceededError(absl::StrCat("process ", pid_, " still runs: ", Output()));
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  waited_ = true;
  // What it wrote last may still be on its way to Output().
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(&at_end_), timeout);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string ServerProcess::Output() {
  absl::MutexLock lock(&mutex_);
  return output_;
}

}  // namespace contree::testing_harness
