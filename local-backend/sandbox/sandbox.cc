#include "local-backend/sandbox/sandbox.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/bubblewrap.h"
#include "local-backend/sandbox/sandbox_init_image.h"
#include "local-backend/sandbox/sandbox_keeper.h"
#include "local-backend/sandbox/sandbox_process.h"
#include "local-backend/sandbox/seccomp_filter.h"

namespace contree {

absl::StatusOr<std::unique_ptr<SandboxLauncher>> SandboxLauncher::Create(const Options& options) {
  ASSIGN_OR_RETURN(std::string bubblewrap, FindBubblewrap(options.bubblewrap));
  ASSIGN_OR_RETURN(UniqueFd filter, MakeSeccompFilter());
  ASSIGN_OR_RETURN(UniqueFd init, MakeSandboxInitFile());
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Start());
  return std::unique_ptr<SandboxLauncher>(
      new SandboxLauncher(std::move(bubblewrap), options.mount_point, std::move(filter),
                          std::move(init), std::move(loop)));
}

SandboxLauncher::SandboxLauncher(std::string bubblewrap, std::string mount_point,
                                 UniqueFd seccomp_filter, UniqueFd init,
                                 std::unique_ptr<EventLoop> loop)
    : bubblewrap_(std::move(bubblewrap)),
      mount_point_(std::move(mount_point)),
      seccomp_filter_(std::move(seccomp_filter)),
      init_(std::move(init)),
      loop_(std::move(loop)) {}

SandboxLauncher::~SandboxLauncher() = default;

absl::StatusOr<std::shared_ptr<RunningSandbox>> SandboxLauncher::Start(const SandboxSpec& spec,
                                                                       const CancelEvent& cancel,
                                                                       SandboxEvents events,
                                                                       OnEnd on_end) {
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  ASSIGN_OR_RETURN(const std::string start, EncodeStart(kMainProcess, spec.uid, spec.gid, spec.cwd,
                                                        spec.argv, spec.environment));
  ASSIGN_OR_RETURN(const UniqueFd root, MountOverlay(spec.root));
  ASSIGN_OR_RETURN(ProcessPipes pipes, MakeProcessPipes());
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
                  {pipes.in_read.get(), pipes.out_write.get(), pipes.err_write.get()});
  const auto keeper =
      std::make_shared<SandboxKeeper>(*loop_, std::move(process), std::move(pipes), spec, cancel,
                                      std::move(events), std::move(on_end));
  keeper->Begin();
  return keeper;
}

absl::StatusOr<SandboxExit> SandboxLauncher::Run(const SandboxSpec& spec, const CancelEvent& cancel,
                                                 const SandboxEvents& events) {
  absl::StatusOr<SandboxExit> outcome = absl::UnknownError("");
  absl::Notification ended;
  const auto running = Start(spec, cancel, events, [&](absl::StatusOr<SandboxExit> how) {
    outcome = std::move(how);
    ended.Notify();
  });
  if (!running.ok()) return running.status();
  ended.WaitForNotification();
  return outcome;
}

}  // namespace contree
