#include "local-backend/sandbox/gvisor_tier.h"

#include <utility>

#include "common/status/status_macros.h"
#include "local-backend/sandbox/gvisor.h"
#include "local-backend/sandbox/program_file.h"
#include "local-backend/sandbox/sandbox_init_image.h"
#include "local-backend/sandbox/zygote_protocol.h"

namespace contree {

absl::StatusOr<std::unique_ptr<GvisorTier>> GvisorTier::Create(const std::string& bubblewrap,
                                                               const std::string& runsc,
                                                               const std::string& skeleton,
                                                               const RunLimits& limits) {
  ASSIGN_OR_RETURN(const std::string program, FindRunsc(runsc));
  RETURN_IF_ERROR(MakeGvisorSkeleton(skeleton));
  ASSIGN_OR_RETURN(UniqueFd init, MakeSandboxInitFile());
  return std::unique_ptr<GvisorTier>(
      new GvisorTier({.programs = {program}, .lowest_layer = skeleton, .cgroup_limits = limits},
                     bubblewrap, std::move(init)));
}

GvisorTier::GvisorTier(TierTraits traits, std::string bubblewrap, UniqueFd init)
    : traits_(std::move(traits)), bubblewrap_(std::move(bubblewrap)), init_(std::move(init)) {}

absl::StatusOr<TierSandbox> GvisorTier::Prepare(const std::string& hostname,
                                                const std::string& mount_point, int root) const {
  RETURN_IF_ERROR(CheckGvisorRoot(root));
  ASSIGN_OR_RETURN(UniqueFd init, OpenAgain(init_));
  ASSIGN_OR_RETURN(const UniqueFd text, MakeProgramFile("config.json", GvisorConfig(hostname)));
  ASSIGN_OR_RETURN(UniqueFd config, OpenAgain(text));
  TierSandbox sandbox = {.order = {.command = GvisorCommand({.bubblewrap = bubblewrap_,
                                                             .runsc = traits_.programs.front(),
                                                             .root = mount_point,
                                                             .init_fd = kSandboxData,
                                                             .config_fd = kSandboxData + 1}),
                                   .control_is_stdin = true,
                                   .data = {init.get(), config.get()}}};
  sandbox.files.push_back(std::move(init));
  sandbox.files.push_back(std::move(config));
  return sandbox;
}

}  // namespace contree
