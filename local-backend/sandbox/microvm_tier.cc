#include "local-backend/sandbox/microvm_tier.h"

#include <utility>

#include "common/status/status_macros.h"
#include "local-backend/sandbox/program_file.h"
#include "local-backend/sandbox/vm_programs_image.h"
#include "local-backend/sandbox/zygote_protocol.h"

namespace contree {
namespace {

// Killing everything, writing what is unwritten, and telling about it, in emulation.
constexpr absl::Duration kKillGrace = absl::Seconds(20);

}  // namespace

absl::StatusOr<std::unique_ptr<MicrovmTier>> MicrovmTier::Create(const std::string& bubblewrap,
                                                                 const MicrovmOptions& options,
                                                                 const RunLimits& limits) {
  MicrovmCommandOptions command = {.bubblewrap = bubblewrap,
                                   .accelerator = options.accelerator,
                                   .limits = limits,
                                   .processor_kilohertz = MeasureProcessorKilohertz(),
                                   .mark = options.mark,
                                   .relay_fd = kSandboxData,
                                   .kernel_fd = kSandboxData + 1,
                                   .initrd_fd = kSandboxData + 2};
  if (command.processor_kilohertz == 0) {
    return absl::FailedPreconditionError("--isolation=microvm is for x86_64 only");
  }
  ASSIGN_OR_RETURN(command.qemu, FindQemu(options.qemu));
  ASSIGN_OR_RETURN(command.virtiofsd, FindVirtiofsd(options.virtiofsd));
  ASSIGN_OR_RETURN(GuestKernel kernel, LoadGuestKernel(options.kernel));
  ASSIGN_OR_RETURN(UniqueFd relay, MakeVmRelayFile());
  TierTraits traits = {.programs = {command.qemu, command.virtiofsd},
                       .cgroup_limits = MicrovmCgroupLimits(limits),
                       .wants_rlimits = false,
                       .start_limit = options.start_limit,
                       .kill_grace = kKillGrace};
  return std::unique_ptr<MicrovmTier>(
      new MicrovmTier(std::move(traits), std::move(command), std::move(kernel), std::move(relay)));
}

MicrovmTier::MicrovmTier(TierTraits traits, MicrovmCommandOptions command, GuestKernel kernel,
                         UniqueFd relay)
    : traits_(std::move(traits)),
      command_(std::move(command)),
      kernel_(std::move(kernel)),
      relay_(std::move(relay)) {}

absl::StatusOr<TierSandbox> MicrovmTier::Prepare(const std::string& hostname,
                                                 const std::string& mount_point,
                                                 int /*root*/) const {
  MicrovmCommandOptions command = command_;
  command.root = mount_point;
  command.hostname = hostname;
  return TierSandbox{.order = {.command = MicrovmCommand(command),
                               .control_is_stdin = true,
                               .data = {relay_.get(), kernel_.kernel.get(), kernel_.initrd.get()}}};
}

}  // namespace contree
