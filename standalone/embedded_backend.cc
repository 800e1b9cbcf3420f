#include "standalone/embedded_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"

extern char** environ;

namespace contree::standalone {
namespace {

// A backend that has not said anything after this long is not going to.
constexpr absl::Duration kStartTimeout = absl::Seconds(30);
constexpr off_t kMaxLogBytes = 4 * 1024 * 1024;

// Appends to the backend's log, which starts anew when it has grown large.
absl::StatusOr<UniqueFd> OpenLog(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && info.st_size > kMaxLogBytes)
    rename(path.c_str(), absl::StrCat(path, ".old").c_str());
  UniqueFd log(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  return log;
}

// Whether nobody listens there (yet, or any more).
bool NobodyListens(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsNotFound(status);
}

}  // namespace

EmbeddedBackend::EmbeddedBackend(EmbeddedBackendOptions options)
    : options_(std::move(options)),
      wake_(eventfd(0, EFD_CLOEXEC)),
      endpoint_(absl::UnavailableError("the local backend has not started yet")) {
  thread_ = std::thread([this] { KeepJoined(); });
}

EmbeddedBackend::~EmbeddedBackend() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

absl::StatusOr<ApiEndpoint> EmbeddedBackend::EndpointFor(const CallContext& context) {
  absl::MutexLock lock(&mutex_);
  if (endpoint_.ok()) return endpoint_;
  // A try that is under way answers this call too; otherwise ask for one.
  const int wanted = answered_ < asked_ ? asked_ : ++asked_;
  const auto is_answered = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return answered_ >= wanted || stopping_ || context.stop.stop_requested();
  };
  // A stop that is requested is seen within this time.
  constexpr absl::Duration kStopCheck = absl::Milliseconds(100);
  while (!is_answered()) {
    if (absl::Now() >= context.deadline) {
      return absl::DeadlineExceededError(
          "the local backend did not start before the call's deadline");
    }
    mutex_.AwaitWithDeadline(absl::Condition(&is_answered),
                             std::min(context.deadline, absl::Now() + kStopCheck));
  }
  if (context.stop.stop_requested())
    return absl::CancelledError("the caller stopped waiting for the local backend");
  return endpoint_;
}

void EmbeddedBackend::KeepJoined() {
  while (true) {
    int try_number = 0;
    {
      absl::MutexLock lock(&mutex_);
      const auto is_wanted = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return answered_ < asked_ || stopping_;
      };
      mutex_.Await(absl::Condition(&is_wanted));
      if (stopping_) return;
      try_number = asked_;
    }
    absl::StatusOr<BackendConnection> joined = JoinOrStart();
    if (!joined.ok())
      LogError("the local backend is not available",
               {{"error", std::string(joined.status().message())}});
    {
      absl::MutexLock lock(&mutex_);
      answered_ = try_number;
      if (!joined.ok()) {
        endpoint_ = joined.status();
        continue;
      }
      endpoint_ = joined->endpoint;
    }
    // The lifeline says nothing more; it ends with the backend.
    pollfd entries[] = {{.fd = joined->lifeline.get(), .events = POLLIN, .revents = 0},
                        {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    while (poll(entries, 2, -1) < 0 && errno == EINTR) {
    }
    absl::MutexLock lock(&mutex_);
    endpoint_ = absl::UnavailableError("the local backend ended");
    if (stopping_) return;
    LogWarning("the local backend ended; the next call starts it again");
  }
}

absl::StatusOr<BackendConnection> EmbeddedBackend::JoinOrStart() {
  if (started_pid_ > 0 && waitpid(started_pid_, nullptr, WNOHANG) == started_pid_)
    started_pid_ = -1;
  // One contree-mcp at a time starts a backend; the others wait here and then join it.
  const std::string lock_path = absl::StrCat(options_.state_dir, "/local-backend.start");
  const UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.is_open()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", lock_path));
  while (flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return absl::ErrnoToStatus(errno, absl::StrCat("cannot lock ", lock_path));
  }
  // A backend may end between answering and serving: then a second round starts a new one.
  absl::StatusOr<BackendConnection> joined = ConnectToBackend(options_.state_dir, wake_.get());
  for (int round = 0; round < 3 && !joined.ok() && NobodyListens(joined.status()); ++round) {
    RETURN_IF_ERROR(StartBackend());
    joined = ConnectToBackend(options_.state_dir, wake_.get());
  }
  if (joined.ok() && joined->isolation != options_.isolation) {
    return absl::FailedPreconditionError(
        absl::StrCat("the backend of ", options_.state_dir, " (process ", joined->pid,
                     ") runs with --isolation=", joined->isolation, ", not ", options_.isolation,
                     ": end the programs that use it, or name another --state-dir"));
  }
  return joined;
}

absl::Status EmbeddedBackend::StartBackend() {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
  const UniqueFd ready(pipe_fds[0]);
  UniqueFd ready_for_backend(pipe_fds[1]);
  const std::string log_path = absl::StrCat(options_.state_dir, "/local-backend.log");
  ASSIGN_OR_RETURN(const UniqueFd log, OpenLog(log_path));

  constexpr int kReadyFd = 3;
  std::vector<std::string> words = options_.program;
  words.insert(words.end(), {"--state-dir", options_.state_dir, "--isolation", options_.isolation,
                             "--ready-fd", std::to_string(kReadyFd)});
  words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, log.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, log.get(), 2);
  posix_spawn_file_actions_adddup2(&actions, ready_for_backend.get(), kReadyFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A session of its own: it outlives this process, and a Ctrl-C in the terminal is not meant for
  // it.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, words[0].c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot start ", words[0]));

  ready_for_backend.Reset();
  const absl::StatusOr<std::string> line =
      ReadBackendLine(ready.get(), wake_.get(), absl::Now() + kStartTimeout);
  if (line.ok() && *line == "ready") {
    started_pid_ = pid;
    return absl::OkStatus();
  }
  if (!line.ok()) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return Annotate(line.status(),
                    absl::StrCat("starting the local backend (its log: ", log_path, ")"));
  }
  waitpid(pid, nullptr, 0);
  absl::string_view message = *line;
  if (absl::ConsumePrefix(&message, "error: ")) return absl::FailedPreconditionError(message);
  return absl::FailedPreconditionError(
      absl::StrCat("the local backend ended before it served; its log: ", log_path));
}

}  // namespace contree::standalone
