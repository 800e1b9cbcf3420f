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
#include "local-backend/sandbox/gvisor.h"
#include "local-backend/sandbox/network_namespace.h"
#include "local-backend/sandbox/program_file.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/sandbox_init_image.h"
#include "local-backend/sandbox/sandbox_keeper.h"
#include "local-backend/sandbox/sandbox_process.h"
#include "local-backend/sandbox/seccomp_filter.h"
#include "local-backend/sandbox/zygote_protocol.h"

namespace contree {
namespace {

// A position in the file of its own: who reads it, reads it to its end.
absl::StatusOr<UniqueFd> OpenAgain(const UniqueFd& file) {
  UniqueFd again(open(absl::StrCat("/proc/self/fd/", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!again.is_open()) return absl::ErrnoToStatus(errno, "cannot open a file of ours again");
  return again;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxLauncher>> SandboxLauncher::Create(const Options& options) {
  BubblewrapOptions bubblewrap;
  ASSIGN_OR_RETURN(bubblewrap.program, FindBubblewrap(options.bubblewrap));
  std::string runsc;
  UniqueFd runsc_init;
  if (!options.runsc.empty()) {
    ASSIGN_OR_RETURN(runsc, FindRunsc(options.runsc));
    if (options.cgroups == nullptr) {
      return absl::FailedPreconditionError(
          "the gVisor tier needs cgroups: rlimits do not bound what its kernel takes of memory and "
          "processes; delegate a cgroup to this user, or run with --isolation=namespaces");
    }
    if (options.network_stack != nullptr) {
      return absl::FailedPreconditionError("the gVisor tier has no way out to the network");
    }
    RETURN_IF_ERROR(MakeGvisorSkeleton(options.skeleton));
    ASSIGN_OR_RETURN(runsc_init, MakeSandboxInitFile());
  }
  ASSIGN_OR_RETURN(UniqueFd filter, MakeSeccompFilter());
  ASSIGN_OR_RETURN(UniqueFd init, MakeSandboxInitFile());
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Start());
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> disposal, EventLoop::Start());
  std::vector<std::string> programs = {bubblewrap.program};
  if (!runsc.empty()) programs.push_back(runsc);
  ASSIGN_OR_RETURN(
      std::unique_ptr<Zygote> zygote,
      Zygote::Start(*disposal, options.mount_point, programs, std::move(filter), std::move(init)));
  bubblewrap.root = zygote->mount_point();
  bubblewrap.shared_memory_bytes = options.limits.memory_bytes / 2;
  bubblewrap.seccomp_fd = kSandboxFilter;
  bubblewrap.init_fd = kZygoteInit;
  bubblewrap.control_fd = kSandboxControl;
  MaskProc(bubblewrap);
  return std::unique_ptr<SandboxLauncher>(
      new SandboxLauncher(options, std::move(bubblewrap), std::move(runsc), std::move(runsc_init),
                          std::move(loop), std::move(disposal), std::move(zygote)));
}

SandboxLauncher::SandboxLauncher(const Options& options, BubblewrapOptions bubblewrap,
                                 std::string runsc, UniqueFd init, std::unique_ptr<EventLoop> loop,
                                 std::unique_ptr<EventLoop> disposal,
                                 std::unique_ptr<Zygote> zygote)
    : options_(options),
      bubblewrap_(std::move(bubblewrap)),
      runsc_(std::move(runsc)),
      init_(std::move(init)),
      disposal_(std::move(disposal)),
      networks_(*disposal_),
      zygote_(std::move(zygote)),
      loop_(std::move(loop)) {}

// It would call what the loop's end takes away.
SandboxLauncher::~SandboxLauncher() { disk_watch_.Stop(); }

absl::StatusOr<Zygote::Order> SandboxLauncher::TierOrder(const std::string& hostname,
                                                         std::vector<UniqueFd>& files) const {
  if (runsc_.empty()) {
    BubblewrapOptions bubblewrap = bubblewrap_;
    bubblewrap.hostname = hostname;
    return Zygote::Order{.command = BubblewrapCommand(bubblewrap)};
  }
  ASSIGN_OR_RETURN(UniqueFd init, OpenAgain(init_));
  ASSIGN_OR_RETURN(const UniqueFd text, MakeProgramFile("config.json", GvisorConfig(hostname)));
  ASSIGN_OR_RETURN(UniqueFd config, OpenAgain(text));
  const Zygote::Order order = {.command = GvisorCommand({.bubblewrap = bubblewrap_.program,
                                                         .runsc = runsc_,
                                                         .root = bubblewrap_.root,
                                                         .init_fd = kSandboxData,
                                                         .config_fd = kSandboxData + 1}),
                               .control_is_stdin = true,
                               .data = {init.get(), config.get()}};
  files.push_back(std::move(init));
  files.push_back(std::move(config));
  return order;
}

absl::StatusOr<std::shared_ptr<RunningSandbox>> SandboxLauncher::Start(const SandboxSpec& spec,
                                                                       const CancelEvent& cancel,
                                                                       SandboxEvents events,
                                                                       OnEnd on_end) {
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  RunRlimits rlimits = {};
  // A little more than it may write: that it wrote too much shall be seen.
  if (spec.disk_bytes > 0) rlimits.file_bytes = static_cast<uint64_t>(spec.disk_bytes) + (1 << 20);
  SandboxResources resources = {.limits = options_.limits};
  if (options_.cgroups != nullptr) {
    ASSIGN_OR_RETURN(resources.cgroup, options_.cgroups->NewRun(options_.limits));
  } else {
    rlimits.data_bytes = static_cast<uint64_t>(options_.limits.memory_bytes);
    rlimits.processes = static_cast<uint64_t>(options_.limits.processes);
  }
  const bool has_uplink = spec.networking && options_.network_stack != nullptr;
  ASSIGN_OR_RETURN(resources.network, networks_.Take(has_uplink));
  if (has_uplink) {
    resources.uplink =
        std::make_unique<NetworkUplink>(std::move(resources.network.tap), *options_.network_stack);
  }
  ASSIGN_OR_RETURN(const std::string start, EncodeStart(kMainProcess, spec.uid, spec.gid, spec.cwd,
                                                        spec.argv, spec.environment, rlimits));
  OverlayMount layers = spec.root;
  if (!runsc_.empty()) layers.layers.push_back(options_.skeleton);
  ASSIGN_OR_RETURN(const UniqueFd root, MountOverlay(layers));
  if (!runsc_.empty()) RETURN_IF_ERROR(CheckGvisorRoot(root.get()));
  ASSIGN_OR_RETURN(ProcessPipes pipes, MakeProcessPipes());
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  UniqueFd our_end(sockets[0]);
  UniqueFd init_end(sockets[1]);
  std::vector<UniqueFd> files;
  ASSIGN_OR_RETURN(Zygote::Order order, TierOrder(spec.hostname, files));
  order.root = root.get();
  order.network = resources.network.fd.get();
  order.control = init_end.get();
  order.cgroup = resources.cgroup.get();
  ASSIGN_OR_RETURN(SandboxProcess process, LaunchSandbox(*zygote_, order, std::move(our_end)));
  init_end.Reset();
  // Where this fails, bubblewrap has ended, and the keeper finds out why.
  (void)SendFrame(process.control.get(), FrameType::kStart, start,
                  {pipes.in_read.get(), pipes.out_write.get(), pipes.err_write.get()});
  const auto keeper = std::make_shared<SandboxKeeper>(
      *loop_, *disposal_, networks_, disk_watch_, std::move(process), std::move(pipes),
      std::move(resources), spec, rlimits, cancel, std::move(events), std::move(on_end));
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
