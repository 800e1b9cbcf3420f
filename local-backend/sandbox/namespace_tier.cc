#include "local-backend/sandbox/namespace_tier.h"

#include "local-backend/sandbox/zygote_protocol.h"

namespace contree {

NamespaceTier::NamespaceTier(const std::string& bubblewrap, const RunLimits& limits)
    : traits_{.cgroup_limits = limits} {
  bubblewrap_.program = bubblewrap;
  bubblewrap_.shared_memory_bytes = limits.memory_bytes / 2;
  bubblewrap_.seccomp_fd = kSandboxFilter;
  bubblewrap_.init_fd = kZygoteInit;
  bubblewrap_.control_fd = kSandboxControl;
  MaskProc(bubblewrap_);
}

absl::StatusOr<TierSandbox> NamespaceTier::Prepare(const std::string& hostname,
                                                   const std::string& mount_point,
                                                   int /*root*/) const {
  BubblewrapOptions bubblewrap = bubblewrap_;
  bubblewrap.root = mount_point;
  bubblewrap.hostname = hostname;
  return TierSandbox{.order = {.command = BubblewrapCommand(bubblewrap)}};
}

}  // namespace contree
