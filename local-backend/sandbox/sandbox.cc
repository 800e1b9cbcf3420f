#include "local-backend/sandbox/sandbox.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/synchronization/notification.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/bubblewrap.h"
#include "local-backend/sandbox/gvisor_tier.h"
#include "local-backend/sandbox/microvm_tier.h"
#include "local-backend/sandbox/namespace_tier.h"
#include "local-backend/sandbox/network_namespace.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/sandbox_init_image.h"
#include "local-backend/sandbox/sandbox_keeper.h"
#include "local-backend/sandbox/sandbox_process.h"
#include "local-backend/sandbox/seccomp_filter.h"

namespace contree {
namespace {

absl::StatusOr<std::unique_ptr<IsolationTier>> MakeTier(const SandboxLauncher::Options& options) {
  ASSIGN_OR_RETURN(const std::string bubblewrap, FindBubblewrap(options.bubblewrap));
  const bool is_virtual = !options.runsc.empty() || options.microvm.has_value();
  if (!is_virtual) return std::make_unique<NamespaceTier>(bubblewrap, options.limits);
  if (options.network_stack != nullptr) {
    return absl::FailedPreconditionError("the tier has no way out to the network");
  }
  if (options.microvm.has_value()) {
    return MicrovmTier::Create(bubblewrap, *options.microvm, options.limits);
  }
  // Where it is not there, that is said first.
  ASSIGN_OR_RETURN(std::unique_ptr<IsolationTier> tier,
                   GvisorTier::Create(bubblewrap, options.runsc, options.skeleton, options.limits));
  if (options.cgroups == nullptr) {
    return absl::FailedPreconditionError(
        "the gVisor tier needs cgroups: rlimits do not bound what its kernel takes of memory and "
        "processes; delegate a cgroup to this user, or run with --isolation=namespaces");
  }
  return tier;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxLauncher>> SandboxLauncher::Create(const Options& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<IsolationTier> tier, MakeTier(options));
  ASSIGN_OR_RETURN(UniqueFd filter, MakeSeccompFilter());
  ASSIGN_OR_RETURN(UniqueFd init, MakeSandboxInitFile());
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Start());
  ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> disposal, EventLoop::Start());
  ASSIGN_OR_RETURN(const std::string bubblewrap, FindBubblewrap(options.bubblewrap));
  std::vector<std::string> programs = {bubblewrap};
  programs.insert(programs.end(), tier->traits().programs.begin(), tier->traits().programs.end());
  ASSIGN_OR_RETURN(
      std::unique_ptr<Zygote> zygote,
      Zygote::Start(*disposal, options.mount_point, programs, std::move(filter), std::move(init)));
  return std::unique_ptr<SandboxLauncher>(new SandboxLauncher(
      options, std::move(tier), std::move(loop), std::move(disposal), std::move(zygote)));
}

SandboxLauncher::SandboxLauncher(const Options& options, std::unique_ptr<IsolationTier> tier,
                                 std::unique_ptr<EventLoop> loop,
                                 std::unique_ptr<EventLoop> disposal,
                                 std::unique_ptr<Zygote> zygote)
    : options_(options),
      tier_(std::move(tier)),
      disposal_(std::move(disposal)),
      networks_(*disposal_),
      zygote_(std::move(zygote)),
      loop_(std::move(loop)) {}

// It would call what the loop's end takes away.
SandboxLauncher::~SandboxLauncher() { disk_watch_.Stop(); }

absl::StatusOr<std::shared_ptr<RunningSandbox>> SandboxLauncher::Start(const SandboxSpec& spec,
                                                                       const CancelEvent& cancel,
                                                                       SandboxEvents events,
                                                                       OnEnd on_end) {
  if (cancel.IsCancelled()) return absl::CancelledError("cancelled");
  RunRlimits rlimits = {};
  // A little more than it may write: that it wrote too much shall be seen.
  if (spec.disk_bytes > 0) rlimits.file_bytes = static_cast<uint64_t>(spec.disk_bytes) + (1 << 20);
  const TierTraits& traits = tier_->traits();
  SandboxResources resources = {.limits = options_.limits};
  if (options_.cgroups != nullptr) {
    ASSIGN_OR_RETURN(resources.cgroup, options_.cgroups->NewRun(traits.cgroup_limits));
  } else if (traits.wants_rlimits) {
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
  if (!traits.lowest_layer.empty()) layers.layers.push_back(traits.lowest_layer);
  ASSIGN_OR_RETURN(const UniqueFd root, MountOverlay(layers));
  ASSIGN_OR_RETURN(TierSandbox sandbox,
                   tier_->Prepare(spec.hostname, zygote_->mount_point(), root.get()));
  ASSIGN_OR_RETURN(ProcessPipes pipes, MakeProcessPipes());
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  UniqueFd our_end(sockets[0]);
  UniqueFd init_end(sockets[1]);
  Zygote::Order& order = sandbox.order;
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
      std::move(resources), traits, spec, rlimits, cancel, std::move(events), std::move(on_end));
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
