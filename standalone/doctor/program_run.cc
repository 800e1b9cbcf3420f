#include "standalone/doctor/program_run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"

extern char** environ;

namespace contree::standalone {
namespace {

constexpr size_t kMaxOutput = 64 * 1024;

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

absl::StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  return Pipe{.read_end = UniqueFd(fds[0]), .write_end = UniqueFd(fds[1])};
}

// What the child writes until it closes the pipe, and how it ended. A child that takes longer is
// killed, with its process group if it leads one.
absl::StatusOr<ProgramEnd> Collect(pid_t child, int output, absl::Duration timeout,
                                   bool leads_a_group) {
  ProgramEnd end;
  const absl::Time deadline = absl::Now() + timeout;
  bool in_time = true;
  char buffer[4096];
  while (true) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    pollfd entry{.fd = output, .events = POLLIN, .revents = 0};
    const int ready = left <= 0 ? 0 : poll(&entry, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      in_time = false;
      break;
    }
    const ssize_t got = read(output, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    end.output.append(buffer, std::min(static_cast<size_t>(got), kMaxOutput - end.output.size()));
  }
  if (!in_time) kill(leads_a_group ? -child : child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    return absl::DeadlineExceededError(
        absl::StrCat("no end within ", absl::FormatDuration(timeout)));
  }
  end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return end;
}

}  // namespace

absl::StatusOr<ProgramEnd> RunProgram(std::vector<std::string> words, absl::Duration timeout) {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe.write_end.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, pipe.write_end.get(), 2);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  const int error = posix_spawnp(&child, argv[0], &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot run ", words[0]));
  pipe.write_end.Reset();
  return Collect(child, pipe.read_end.get(), timeout, /*leads_a_group=*/true);
}

absl::Status TryInChild(const std::function<absl::Status()>& trial, absl::Duration timeout) {
  ASSIGN_OR_RETURN(Pipe pipe, MakePipe());
  const pid_t child = fork();
  if (child < 0) return absl::ErrnoToStatus(errno, "fork");
  if (child == 0) {
    const absl::Status status = trial();
    const std::string text(status.message());
    const ssize_t written = write(pipe.write_end.get(), text.data(), text.size());
    // The code of the status is the exit code; 255 is none of them.
    _exit(written == static_cast<ssize_t>(text.size()) ? static_cast<int>(status.code()) : 255);
  }
  pipe.write_end.Reset();
  ASSIGN_OR_RETURN(const ProgramEnd end,
                   Collect(child, pipe.read_end.get(), timeout, /*leads_a_group=*/false));
  if (end.exit_code == 0) return absl::OkStatus();
  if (end.exit_code > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    return absl::InternalError(absl::StrCat("the trial ended with exit code ", end.exit_code));
  }
  return absl::Status(static_cast<absl::StatusCode>(end.exit_code), end.output);
}

}  // namespace contree::standalone
