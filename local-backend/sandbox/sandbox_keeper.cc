#include "local-backend/sandbox/sandbox_keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr size_t kReadSize = 64 * 1024;
// One that has much to say lets the others speak after so many reads.
constexpr int kReadsPerTurn = 4;
constexpr size_t kMaxDiagnostics = 4096;

// Buffers of the loop's thread: callbacks do not keep what they are shown.
char* ReadBuffer() {
  thread_local std::string buffer(kReadSize, '\0');
  return buffer.data();
}

absl::Status MakePipe(UniqueFd& read_end, UniqueFd& write_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return absl::ResourceExhaustedError(absl::StrCat("no pipe can be made: ", strerror(errno)));
  }
  read_end.Reset(ends[0]);
  write_end.Reset(ends[1]);
  return absl::OkStatus();
}

void SetExit(SandboxExit& exit, const ExitedReply& reply) {
  exit.usage = reply;
  if (WIFEXITED(reply.wait_status)) exit.exit_code = WEXITSTATUS(reply.wait_status);
  if (WIFSIGNALED(reply.wait_status)) {
    exit.signal = WTERMSIG(reply.wait_status);
    exit.core_dump = WCOREDUMP(reply.wait_status);
  }
}

}  // namespace

absl::StatusOr<ProcessPipes> MakeProcessPipes() {
  ProcessPipes pipes;
  RETURN_IF_ERROR(MakePipe(pipes.in_read, pipes.in));
  RETURN_IF_ERROR(MakePipe(pipes.out, pipes.out_write));
  RETURN_IF_ERROR(MakePipe(pipes.err, pipes.err_write));
  for (const UniqueFd* ours : {&pipes.in, &pipes.out, &pipes.err}) {
    fcntl(ours->get(), F_SETFL, O_NONBLOCK);
  }
  return pipes;
}

SandboxKeeper::SandboxKeeper(EventLoop& loop, EventLoop& disposal, NetworkNamespaces& networks,
                             DiskWatch& disk_watch, SandboxProcess process, ProcessPipes pipes,
                             SandboxResources resources, const TierTraits& traits,
                             const SandboxSpec& spec, const RunRlimits& rlimits,
                             const CancelEvent& cancel, SandboxEvents events,
                             SandboxLauncher::OnEnd on_end)
    : loop_(loop),
      disposal_(disposal),
      networks_(networks),
      disk_watch_(disk_watch),
      resources_(std::move(resources)),
      upper_(spec.root.upper),
      disk_bytes_(spec.disk_bytes),
      rlimits_(rlimits),
      cancel_(cancel),
      timeout_(spec.timeout),
      start_limit_(traits.start_limit),
      kill_grace_(traits.kill_grace),
      on_end_(std::move(on_end)),
      pid_(process.pid),
      init_(loop, std::move(process.control)),
      began_(absl::Now()),
      main_(std::make_shared<Process>(spec.stdin_bytes, spec.stdin_stays_open)) {
  pid_fd_.fd = std::move(process.pid_fd);
  diagnostics_.fd = std::move(process.diagnostics);
  main_->events = std::move(events);
  main_->in.fd = std::move(pipes.in);
  main_->out.fd = std::move(pipes.out);
  main_->err.fd = std::move(pipes.err);
  main_->began = began_;
  processes_[kMainProcess] = main_;
}

SandboxKeeper::~SandboxKeeper() {
  if (disk_watch_id_.has_value()) disk_watch_.Remove(*disk_watch_id_);
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

void SandboxKeeper::Begin() {
  loop_.Post([self = shared_from_this()] { self->OnBegin(); });
}

void SandboxKeeper::OnBegin() {
  Watch(pid_fd_, EPOLLIN, &SandboxKeeper::OnDeath);
  // What cannot be heard cannot be kept.
  const absl::Status heard = init_.Begin(
      shared_from_this(),
      {.on_reply = [self = shared_from_this()](
                       FrameType type, absl::string_view payload) { self->OnReply(type, payload); },
       .on_end = [self = shared_from_this()] { self->EndIfOver(); }});
  if (!heard.ok()) {
    absl::StrAppend(&said_, heard.message());
    KillEverything();
  }
  Watch(diagnostics_, EPOLLIN, &SandboxKeeper::OnDiagnostics);
  const auto cancel =
      loop_.Watch(cancel_.fd(), EPOLLIN, [self = shared_from_this()] { self->OnCancel(); });
  SetTimer(began_ + (start_limit_ > absl::ZeroDuration() ? start_limit_ : timeout_));
  if (cancel.ok()) {
    cancel_watch_ = *cancel;
  } else {
    absl::StrAppend(&said_, cancel.status().message());
    KillEverything();
  }
  FeedStdin(main_);
  if (resources_.uplink != nullptr) {
    const auto tap = loop_.Watch(resources_.uplink->tap(), EPOLLIN,
                                 [self = shared_from_this()] { self->OnTap(); });
    if (tap.ok()) tap_watch_ = *tap;
  }
  if (disk_bytes_ > 0) {
    disk_watch_id_ = disk_watch_.Add(upper_, disk_bytes_,
                                     [self = weak_from_this(), &loop = loop_](int64_t bytes) {
                                       loop.Post([self, bytes] {
                                         if (const auto keeper = self.lock())
                                           keeper->OnTooMuchWritten(bytes);
                                       });
                                     });
  }
}

// Something wants out of the sandbox.
void SandboxKeeper::OnTap() {
  loop_.Unwatch(*tap_watch_);
  tap_watch_.reset();
  resources_.uplink->Begin();
}

void SandboxKeeper::OnTooMuchWritten(int64_t bytes) {
  if (exited_ || pid_ < 0 || killing_) return;
  written_bytes_ = bytes;
  KillEverything();
}

void SandboxKeeper::SayWhichLimitsWereReached() {
  const auto say = [this](const std::string& text) {
    if (main_->events.on_output) {
      main_->events.on_output(OutputStream::kStderr, absl::StrCat("contree: ", text, "\n"));
    }
  };
  main_->exit.written_bytes = written_bytes_;
  if (written_bytes_ > 0) {
    say(absl::StrCat("the command was stopped: it wrote more than the ", disk_bytes_,
                     " bytes that it may"));
  }
  if (!main_->started) return;
  int64_t out_of_memory_kills = limits_reached_.out_of_memory_kills;
  int64_t refused_processes = limits_reached_.refused_processes;
  if (resources_.cgroup != nullptr) {
    const RunUsage usage = resources_.cgroup->Usage();
    // Without what it took to make the sandbox.
    const absl::Duration user = usage.user_cpu - usage_at_start_.user_cpu;
    const absl::Duration system = usage.system_cpu - usage_at_start_.system_cpu;
    if (user + system > absl::ZeroDuration()) {
      main_->exit.usage.user_microseconds = absl::ToInt64Microseconds(user);
      main_->exit.usage.system_microseconds = absl::ToInt64Microseconds(system);
    }
    out_of_memory_kills += usage.out_of_memory_kills;
    refused_processes += usage.refused_processes;
  }
  main_->exit.out_of_memory_kills = out_of_memory_kills;
  if (out_of_memory_kills > 0) {
    say(absl::StrCat("out of memory: a run may have ", resources_.limits.memory_bytes,
                     " bytes; the kernel ended ", out_of_memory_kills, " of its processes"));
  }
  if (refused_processes > 0) {
    say(absl::StrCat("too many processes: a run may have ", resources_.limits.processes));
  }
}

void SandboxKeeper::Watch(Channel& channel, uint32_t events, void (SandboxKeeper::*callback)()) {
  const auto watch = loop_.Watch(channel.fd.get(), events,
                                 [self = shared_from_this(), callback] { (*self.*callback)(); });
  if (watch.ok()) {
    channel.watch = *watch;
    return;
  }
  // What cannot be heard cannot be kept.
  absl::StrAppend(&said_, watch.status().message());
  channel.fd.Reset();
  KillEverything();
}

void SandboxKeeper::WatchProcess(Channel& channel, uint32_t events, const ProcessRef& process,
                                 void (SandboxKeeper::*callback)(const ProcessRef&)) {
  const auto watch =
      loop_.Watch(channel.fd.get(), events,
                  [self = shared_from_this(), process, callback] { (*self.*callback)(process); });
  if (watch.ok()) {
    channel.watch = *watch;
    return;
  }
  absl::StrAppend(&said_, watch.status().message());
  channel.fd.Reset();
  KillEverything();
}

void SandboxKeeper::Close(Channel& channel) {
  if (channel.watch.has_value()) loop_.Unwatch(*channel.watch);
  channel.watch.reset();
  channel.fd.Reset();
}

// Processes beside the command.

SandboxKeeper::ProcessRef SandboxKeeper::Find(uint32_t spid) {
  const auto found = processes_.find(spid);
  return found == processes_.end() ? nullptr : found->second;
}

absl::Status SandboxKeeper::StartProcess(uint32_t spid, ProcessSpec spec, SandboxEvents events) {
  auto process = std::make_shared<Process>(std::move(spec.stdin_bytes), spec.stdin_stays_open);
  ASSIGN_OR_RETURN(process->request, EncodeStart(spid, spec.uid, spec.gid, spec.cwd, spec.argv,
                                                 spec.environment, rlimits_));
  ASSIGN_OR_RETURN(process->pipes, MakeProcessPipes());
  process->spid = spid;
  process->events = std::move(events);
  process->began = absl::Now();
  {
    const absl::MutexLock lock(&mutex_);
    if (ended_) return absl::FailedPreconditionError("the sandbox has ended");
    processes_[spid] = process;
  }
  loop_.Post([self = shared_from_this(), process] { self->Launch(process); });
  return absl::OkStatus();
}

void SandboxKeeper::Launch(const ProcessRef& process) {
  if (over_ || !init_.is_open()) return;  // its end is told with the sandbox's
  ProcessPipes& pipes = process->pipes;
  process->in.fd = std::move(pipes.in);
  process->out.fd = std::move(pipes.out);
  process->err.fd = std::move(pipes.err);
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(std::move(pipes.in_read));
  descriptors.push_back(std::move(pipes.out_write));
  descriptors.push_back(std::move(pipes.err_write));
  SendToInit(FrameType::kStart, process->request, std::move(descriptors));
  process->request.clear();
  FeedStdin(process);
}

absl::Status SandboxKeeper::WriteStdin(uint32_t spid, std::string bytes, bool close) {
  const absl::MutexLock lock(&mutex_);
  const ProcessRef process = Find(spid);
  if (process == nullptr) return absl::NotFoundError(absl::StrCat("there is no process ", spid));
  if (process->ended || ended_) {
    return absl::FailedPreconditionError(absl::StrCat("the process ", spid, " has ended"));
  }
  if (const absl::Status added = process->feed.Add(bytes, close); !added.ok()) {
    return absl::Status(added.code(),
                        absl::StrCat("the stdin of process ", spid, " ", added.message()));
  }
  loop_.Post([self = shared_from_this(), process] { self->FeedStdin(process); });
  return absl::OkStatus();
}

absl::Status SandboxKeeper::Signal(uint32_t spid, int signal) {
  const absl::MutexLock lock(&mutex_);
  const ProcessRef process = Find(spid);
  if (process == nullptr) return absl::NotFoundError(absl::StrCat("there is no process ", spid));
  if (process->ended || ended_) {
    return absl::FailedPreconditionError(absl::StrCat("the process ", spid, " has ended"));
  }
  loop_.Post([self = shared_from_this(), spid, signal] {
    const SignalRequest request = {.spid = spid, .signal = signal};
    self->SendToInit(FrameType::kSignal,
                     std::string(reinterpret_cast<const char*>(&request), sizeof request), {});
  });
  return absl::OkStatus();
}

// What goes to the init.

void SandboxKeeper::SendToInit(FrameType type, absl::string_view payload,
                               std::vector<UniqueFd> descriptors) {
  const absl::Status sent = init_.Send(type, payload, std::move(descriptors));
  if (sent.ok()) return;
  absl::StrAppend(&said_, sent.message());
  if (pid_ > 0) kill(pid_, SIGKILL);
}

// What comes from it.

void SandboxKeeper::OnReply(FrameType type, absl::string_view payload) {
  if (type == FrameType::kStarted && payload.size() == sizeof(StartedReply)) {
    StartedReply reply;
    memcpy(&reply, payload.data(), sizeof reply);
    OnStarted(reply);
  } else if (type == FrameType::kExited && payload.size() == sizeof(ExitedReply)) {
    ExitedReply reply;
    memcpy(&reply, payload.data(), sizeof reply);
    OnExited(reply);
  } else if (type == FrameType::kLimits && payload.size() == sizeof limits_reached_) {
    memcpy(&limits_reached_, payload.data(), sizeof limits_reached_);
  }
}

void SandboxKeeper::OnStarted(const StartedReply& reply) {
  ProcessRef process;
  {
    const absl::MutexLock lock(&mutex_);
    process = Find(reply.spid);
  }
  if (process == nullptr || process->started) return;
  if (reply.pid < 0) {
    const std::string why =
        absl::StrCat("no process can be made: ", strerror(reply.error_number), "\n");
    if (process == main_) {
      said_ += why;
      return;
    }
    if (process->events.on_output) {
      process->events.on_output(OutputStream::kStderr, absl::StrCat("contree: ", why));
    }
    Close(process->out);
    Close(process->err);
    process->exit.exit_code = 126;  // as for one that cannot be executed
    return EndProcess(process);
  }
  process->started = true;
  process->exit.pid = reply.pid;
  if (process == main_ && resources_.cgroup != nullptr) {
    usage_at_start_ = resources_.cgroup->Usage();
  }
  if (process == main_ && start_limit_ > absl::ZeroDuration() && !killing_) {
    began_ = absl::Now();
    SetTimer(began_ + timeout_);
  }
  if (process->events.on_started) process->events.on_started(reply.pid);
  // Not before: that it has started comes first for the caller too.
  WatchProcess(process->out, EPOLLIN, process, &SandboxKeeper::OnStdout);
  WatchProcess(process->err, EPOLLIN, process, &SandboxKeeper::OnStderr);
}

void SandboxKeeper::OnExited(const ExitedReply& reply) {
  ProcessRef process;
  {
    const absl::MutexLock lock(&mutex_);
    process = Find(reply.spid);
    if (process == nullptr || process->ended) return;
  }
  SetExit(process->exit, reply);
  process->exit.elapsed = absl::Now() - process->began;
  if (process == main_) {
    exited_ = true;
    exited_at_ = absl::Now();
    const absl::MutexLock lock(&mutex_);
    process->ended = true;
    return;
  }
  // What it wrote is in the pipes; it comes before its end. No more than they hold: what it left in
  // the background may write for ever.
  for (int i = 0; i < kReadsPerTurn; ++i) {
    Forward(process, process->out, OutputStream::kStdout);
    Forward(process, process->err, OutputStream::kStderr);
  }
  EndProcess(process);
}

void SandboxKeeper::EndProcess(const ProcessRef& process) {
  {
    const absl::MutexLock lock(&mutex_);
    if (process->ended) return;
    process->ended = true;
  }
  CloseStdin(process);
  if (process->events.on_exited) process->events.on_exited(process->exit);
}

void SandboxKeeper::OnDiagnostics() {
  char text[1024];
  const ssize_t got = read(diagnostics_.fd.get(), text, sizeof text);
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) {
    Close(diagnostics_);
    return EndIfOver();
  }
  const size_t room = kMaxDiagnostics - std::min(kMaxDiagnostics, said_.size());
  said_.append(text, std::min(static_cast<size_t>(got), room));
}

// Its streams.

void SandboxKeeper::OnStdout(const ProcessRef& process) {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    if (!Forward(process, process->out, OutputStream::kStdout)) break;
  }
  EndIfOver();
}

void SandboxKeeper::OnStderr(const ProcessRef& process) {
  for (int i = 0; i < kReadsPerTurn; ++i) {
    if (!Forward(process, process->err, OutputStream::kStderr)) break;
  }
  EndIfOver();
}

// False: there is nothing more now, or ever.
bool SandboxKeeper::Forward(const ProcessRef& process, Channel& channel, OutputStream stream) {
  if (!channel.fd.is_open()) return false;
  char* const buffer = ReadBuffer();
  const ssize_t got = read(channel.fd.get(), buffer, kReadSize);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return false;
  if (got <= 0) {
    Close(channel);
    return false;
  }
  if (process->events.on_output) {
    process->events.on_output(stream, absl::string_view(buffer, static_cast<size_t>(got)));
  }
  return true;
}

void SandboxKeeper::FeedStdin(const ProcessRef& process) {
  Channel& in = process->in;
  if (!in.fd.is_open()) return;
  switch (process->feed.WriteTo(in.fd.get())) {
    case StdinFeed::Progress::kWaits:
      if (!in.watch.has_value()) WatchProcess(in, EPOLLOUT, process, &SandboxKeeper::FeedStdin);
      return;
    case StdinFeed::Progress::kEnded:
      return CloseStdin(process);
    case StdinFeed::Progress::kIdle:
      if (in.watch.has_value()) loop_.Unwatch(*in.watch);
      in.watch.reset();
  }
}

void SandboxKeeper::CloseStdin(const ProcessRef& process) {
  Close(process->in);
  process->feed.End();
}

// The end.

void SandboxKeeper::SetTimer(absl::Time time) {
  if (timer_.has_value()) loop_.CancelTimer(*timer_);
  timer_.reset();
  if (time == absl::InfiniteFuture()) return;
  timer_ = loop_.CallAt(time, [self = shared_from_this()] { self->OnTime(); });
}

void SandboxKeeper::OnTime() {
  timer_.reset();
  if (pid_ < 0) return;
  if (killing_) {
    // The init did not manage it.
    overdue_ = true;
    kill(pid_, SIGKILL);
    return;
  }
  if (exited_) return;
  if (start_limit_ > absl::ZeroDuration() && !main_->started) {
    absl::StrAppend(&said_, "it did not start in ", absl::FormatDuration(start_limit_));
    kill(pid_, SIGKILL);
    return;
  }
  timed_out_ = !cancel_.IsCancelled();
  KillEverything();
}

void SandboxKeeper::OnCancel() {
  if (cancel_watch_.has_value()) loop_.Unwatch(*cancel_watch_);
  cancel_watch_.reset();
  if (pid_ > 0 && !killing_) KillEverything();
}

void SandboxKeeper::KillEverything() {
  killing_ = true;
  SetTimer(absl::Now() + kill_grace_);
  const SignalRequest request = {.spid = 0, .signal = SIGKILL};
  // What waits before it has no meaning any more, unless it is half sent.
  init_.ForgetUnsent();
  SendToInit(FrameType::kSignal,
             std::string(reinterpret_cast<const char*>(&request), sizeof request), {});
  if (!init_.is_open() && pid_ > 0) kill(pid_, SIGKILL);
}

void SandboxKeeper::OnDeath() {
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  Close(pid_fd_);
  if (timer_.has_value()) loop_.CancelTimer(*timer_);
  timer_.reset();
  EndIfOver();
}

absl::StatusOr<SandboxExit> SandboxKeeper::Outcome() {
  if (cancel_.IsCancelled()) return absl::CancelledError("cancelled");
  SandboxExit exit = main_->exit;
  exit.timed_out = timed_out_;
  if (exited_) {
    exit.elapsed = exited_at_ - began_;
    return exit;
  }
  if ((overdue_ && (timed_out_ || written_bytes_ > 0)) || exit.out_of_memory_kills > 0) {
    // So many processes were to be ended that the init was ended before it could report, or memory
    // was so short that it was among those that the kernel chose.
    exit.signal = SIGKILL;
    exit.elapsed = absl::Now() - began_;
    return exit;
  }
  const absl::string_view said = absl::StripAsciiWhitespace(said_);
  if (!main_->started) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the sandbox cannot be made: ", said.empty() ? "bubblewrap ended without a word" : said));
  }
  return absl::InternalError(absl::StrCat(
      "the sandbox died before its command ended",
      overdue_ ? ": it could not be stopped in time" : " (is the machine out of memory?)",
      said.empty() ? "" : ": ", said));
}

void SandboxKeeper::GiveNetworkBack() {
  if (resources_.uplink == nullptr) return networks_.GiveBack(std::move(resources_.network));
  resources_.network.tap = resources_.uplink->TakeUnusedTap();
  if (resources_.network.tap.is_open()) return networks_.GiveBack(std::move(resources_.network));
  // What was used: its descriptor and its stack take milliseconds to go.
  resources_.network = {};
  disposal_.Post([gone = std::shared_ptr<NetworkUplink>(std::move(resources_.uplink))] {});
}

void SandboxKeeper::EndIfOver() {
  // What was said last must not be lost, nor the reports that were sent just before: they are read
  // to their ends, which come now that nobody is left.
  if (over_ || pid_ > 0 || init_.is_heard() || diagnostics_.watch.has_value()) return;
  std::vector<ProcessRef> processes;
  {
    const absl::MutexLock lock(&mutex_);
    for (const auto& [spid, process] : processes_) {
      if (process->out.watch.has_value() || process->err.watch.has_value()) return;
    }
    ended_ = true;
    for (const auto& [spid, process] : processes_) processes.push_back(process);
  }
  over_ = true;
  const auto self = shared_from_this();
  for (const ProcessRef& process : processes) {
    Close(process->in);
    Close(process->out);
    Close(process->err);
    if (process == main_) continue;
    if (!process->ended) {
      process->exit.signal = SIGKILL;
      process->exit.elapsed = absl::Now() - process->began;
    }
    EndProcess(process);
  }
  if (cancel_watch_.has_value()) loop_.Unwatch(*cancel_watch_);
  cancel_watch_.reset();
  init_.Close();
  Close(diagnostics_);
  if (tap_watch_.has_value()) loop_.Unwatch(*tap_watch_);
  tap_watch_.reset();
  if (disk_watch_id_.has_value()) disk_watch_.Remove(*disk_watch_id_);
  if (!cancel_.IsCancelled()) SayWhichLimitsWereReached();
  if (resources_.uplink != nullptr) {
    main_->exit.traffic = resources_.uplink->traffic();
    main_->exit.network_error = std::string(resources_.uplink->Check().message());
  }
  GiveNetworkBack();
  resources_.cgroup.reset();
  on_end_(Outcome());
}

}  // namespace contree
