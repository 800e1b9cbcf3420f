#include "local-backend/sandbox/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/bubblewrap.h"
#include "local-backend/sandbox/sandbox_init_image.h"
#include "local-backend/sandbox/sandbox_process.h"
#include "local-backend/sandbox/seccomp_filter.h"

namespace contree {
namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr size_t kMaxDiagnostics = 4096;
// How long the init has to end everything before bubblewrap is killed.
constexpr absl::Duration kKillGrace = absl::Seconds(5);

struct PipeEnds {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<PipeEnds> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  return PipeEnds{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// Follows one sandbox from its start to its end.
class Keeper {
 public:
  Keeper(SandboxProcess process, UniqueFd in, UniqueFd out, UniqueFd err, const SandboxSpec& spec,
         const CancelEvent& cancel, const SandboxEvents& events)
      : process_(std::move(process)),
        in_(std::move(in)),
        out_(std::move(out)),
        err_(std::move(err)),
        spec_(spec),
        cancel_(cancel),
        events_(events),
        buffer_(kReadSize, '\0') {
    fcntl(in_.get(), F_SETFL, O_NONBLOCK);
    if (spec_.stdin_bytes.empty()) in_.Reset();
  }

  // Everything is dead after it, whatever happened.
  ~Keeper() {
    if (process_.pid > 0) {
      kill(process_.pid, SIGKILL);
      waitpid(process_.pid, nullptr, 0);
    }
  }

  absl::StatusOr<SandboxExit> Follow() {
    const absl::Time began = absl::Now();
    const absl::Time deadline = began + spec_.timeout;
    absl::Time kill_deadline = absl::InfiniteFuture();
    while (process_.pid > 0 || out_.is_open() || err_.is_open()) {
      const absl::Time now = absl::Now();
      const bool out_of_time = now >= deadline && !exited_;
      if (kill_deadline == absl::InfiniteFuture() && (out_of_time || cancel_.IsCancelled())) {
        exit_.timed_out = out_of_time && !cancel_.IsCancelled();
        KillEverything();
        kill_deadline = now + kKillGrace;
      } else if (now >= kill_deadline && process_.pid > 0) {
        kill(process_.pid, SIGKILL);
        overdue_ = true;
        kill_deadline = now + absl::Hours(1);
      }
      PollOnce(std::min(kill_deadline == absl::InfiniteFuture() ? deadline : kill_deadline,
                        now + absl::Hours(1)));
    }
    if (cancel_.IsCancelled()) return absl::CancelledError("cancelled");
    if (exited_) {
      exit_.elapsed = exited_at_ - began;
      return exit_;
    }
    if (overdue_ && exit_.timed_out) {
      // So many processes were to be ended that the init was ended before it could report. The
      // command's time was up all the same.
      exit_.signal = SIGKILL;
      exit_.elapsed = absl::Now() - began;
      return exit_;
    }
    const absl::string_view said = absl::StripAsciiWhitespace(diagnostics_);
    if (!started_) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the sandbox cannot be made: ", said.empty() ? "bubblewrap ended without a word" : said));
    }
    return absl::InternalError(absl::StrCat(
        "the sandbox died before its command ended",
        overdue_ ? ": it could not be stopped in time" : " (is the machine out of memory?)",
        said.empty() ? "" : ": ", said));
  }

 private:
  void KillEverything() {
    const SignalRequest request = {.spid = 0, .signal = SIGKILL};
    const std::string payload(reinterpret_cast<const char*>(&request), sizeof request);
    if (!process_.control.is_open() ||
        !SendFrame(process_.control.get(), FrameType::kSignal, payload).ok()) {
      kill(process_.pid, SIGKILL);
    }
  }

  void PollOnce(absl::Time until) {
    pollfd entries[] = {
        // Not before the report that the command has started: it comes first for the caller too.
        {.fd = started_ ? out_.get() : -1, .events = POLLIN, .revents = 0},
        {.fd = started_ ? err_.get() : -1, .events = POLLIN, .revents = 0},
        {.fd = process_.control.get(), .events = POLLIN, .revents = 0},
        {.fd = in_.get(), .events = POLLOUT, .revents = 0},
        {.fd = process_.diagnostics.get(), .events = POLLIN, .revents = 0},
        {.fd = process_.pid_fd.get(), .events = POLLIN, .revents = 0},
        {.fd = cancel_.IsCancelled() ? -1 : cancel_.fd(), .events = POLLIN, .revents = 0},
    };
    const absl::Duration left = std::max(absl::ZeroDuration(), until - absl::Now());
    // A millisecond more: waking early would only spin.
    const int timeout_ms = static_cast<int>(absl::ToInt64Milliseconds(left)) + 1;
    if (poll(entries, std::size(entries), timeout_ms) <= 0) return;
    if (entries[0].revents != 0) Forward(out_, OutputStream::kStdout);
    if (entries[1].revents != 0) Forward(err_, OutputStream::kStderr);
    if (entries[2].revents != 0) ReceiveReply();
    if (entries[3].revents != 0) FeedStdin();
    if (entries[4].revents != 0) ReadDiagnostics();
    if (entries[5].revents != 0) {
      waitpid(process_.pid, nullptr, 0);
      process_.pid = -1;
      process_.pid_fd.Reset();
      // What it said last must not be lost, nor the report that it sent just before.
      while (process_.control.is_open()) ReceiveReply();
      while (process_.diagnostics.is_open()) ReadDiagnostics();
      if (!started_) {
        out_.Reset();
        err_.Reset();
      }
    }
  }

  void Forward(UniqueFd& from, OutputStream stream) {
    const ssize_t got = read(from.get(), buffer_.data(), buffer_.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) return from.Reset();
    if (events_.on_output) {
      events_.on_output(stream, absl::string_view(buffer_.data(), static_cast<size_t>(got)));
    }
  }

  void FeedStdin() {
    const ssize_t written =
        write(in_.get(), spec_.stdin_bytes.data() + fed_, spec_.stdin_bytes.size() - fed_);
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (written < 0) return in_.Reset();  // the command does not want more
    fed_ += static_cast<size_t>(written);
    if (fed_ == spec_.stdin_bytes.size()) in_.Reset();
  }

  void ReadDiagnostics() {
    char text[1024];
    const ssize_t got = read(process_.diagnostics.get(), text, sizeof text);
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) return process_.diagnostics.Reset();
    const size_t room = kMaxDiagnostics - std::min(kMaxDiagnostics, diagnostics_.size());
    diagnostics_.append(text, std::min(static_cast<size_t>(got), room));
  }

  bool ReceiveWhole(void* into, size_t size) {
    ssize_t got;
    do {
      got = recv(process_.control.get(), into, size, MSG_WAITALL);
    } while (got < 0 && errno == EINTR);
    return got == static_cast<ssize_t>(size);
  }

  void ReceiveReply() {
    FrameHeader header;
    if (!ReceiveWhole(&header, sizeof header)) return process_.control.Reset();
    if (header.type == FrameType::kStarted && header.size == sizeof(StartedReply)) {
      StartedReply reply;
      if (started_ || !ReceiveWhole(&reply, sizeof reply)) return process_.control.Reset();
      if (reply.pid < 0) {
        absl::StrAppend(&diagnostics_, "no process can be made: ", strerror(reply.error_number));
        return;
      }
      started_ = true;
      exit_.pid = reply.pid;
      if (events_.on_started) events_.on_started(reply.pid);
      return;
    }
    if (header.type != FrameType::kExited || header.size != sizeof(ExitedReply) ||
        !ReceiveWhole(&exit_.usage, sizeof exit_.usage)) {
      return process_.control.Reset();
    }
    exited_ = true;
    exited_at_ = absl::Now();
    const int status = exit_.usage.wait_status;
    if (WIFEXITED(status)) exit_.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) {
      exit_.signal = WTERMSIG(status);
      exit_.core_dump = WCOREDUMP(status);
    }
  }

  SandboxProcess process_;
  UniqueFd in_;
  UniqueFd out_;
  UniqueFd err_;
  const SandboxSpec& spec_;
  const CancelEvent& cancel_;
  const SandboxEvents& events_;
  std::string buffer_;
  std::string diagnostics_;
  size_t fed_ = 0;
  bool started_ = false;
  bool exited_ = false;
  bool overdue_ = false;
  absl::Time exited_at_;
  SandboxExit exit_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxLauncher>> SandboxLauncher::Create(const Options& options) {
  ASSIGN_OR_RETURN(std::string bubblewrap, FindBubblewrap(options.bubblewrap));
  ASSIGN_OR_RETURN(UniqueFd filter, MakeSeccompFilter());
  ASSIGN_OR_RETURN(UniqueFd init, MakeSandboxInitFile());
  return std::unique_ptr<SandboxLauncher>(new SandboxLauncher(
      std::move(bubblewrap), options.mount_point, std::move(filter), std::move(init)));
}

SandboxLauncher::SandboxLauncher(std::string bubblewrap, std::string mount_point,
                                 UniqueFd seccomp_filter, UniqueFd init)
    : bubblewrap_(std::move(bubblewrap)),
      mount_point_(std::move(mount_point)),
      seccomp_filter_(std::move(seccomp_filter)),
      init_(std::move(init)) {}

absl::StatusOr<SandboxExit> SandboxLauncher::Run(const SandboxSpec& spec, const CancelEvent& cancel,
                                                 const SandboxEvents& events) {
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  ASSIGN_OR_RETURN(const std::string start, EncodeStart(kMainProcess, spec.uid, spec.gid, spec.cwd,
                                                        spec.argv, spec.environment));
  ASSIGN_OR_RETURN(const UniqueFd root, MountOverlay(spec.root));
  ASSIGN_OR_RETURN(PipeEnds in, MakePipe());
  ASSIGN_OR_RETURN(PipeEnds out, MakePipe());
  ASSIGN_OR_RETURN(PipeEnds err, MakePipe());
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  UniqueFd our_end(sockets[0]);
  UniqueFd init_end(sockets[1]);
  // bubblewrap reads the filter to its end: each sandbox needs a position in the file of its own.
  const UniqueFd filter(
      open(absl::StrCat("/proc/self/fd/", seccomp_filter_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!filter.is_open()) return absl::ErrnoToStatus(errno, "cannot open the seccomp filter again");
  SandboxLaunch launch = {.command = BubblewrapCommand({.program = bubblewrap_,
                                                        .root = mount_point_,
                                                        .hostname = spec.hostname,
                                                        .seccomp_fd = filter.get(),
                                                        .init_fd = init_.get(),
                                                        .control_fd = init_end.get()}),
                          .mount_point = mount_point_,
                          .root = root.get(),
                          .inherited = {filter.get(), init_.get(), init_end.get()},
                          .control = std::move(our_end)};
  ASSIGN_OR_RETURN(SandboxProcess process, LaunchSandbox(std::move(launch)));
  init_end.Reset();
  // Where this fails, bubblewrap has ended, and the keeper finds out why.
  (void)SendFrame(process.control.get(), FrameType::kStart, start,
                  {in.read.get(), out.write.get(), err.write.get()});
  in.read.Reset();
  out.write.Reset();
  err.write.Reset();
  Keeper keeper(std::move(process), std::move(in.write), std::move(out.read), std::move(err.read),
                spec, cancel, events);
  return keeper.Follow();
}

}  // namespace contree
