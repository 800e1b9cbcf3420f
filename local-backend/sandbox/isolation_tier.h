#ifndef LOCAL_BACKEND_SANDBOX_ISOLATION_TIER_H_
#define LOCAL_BACKEND_SANDBOX_ISOLATION_TIER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/zygote.h"

namespace contree {

// What is the same for all sandboxes of a tier.
struct TierTraits {
  // Absolute paths of what is executed beside bubblewrap.
  std::vector<std::string> programs = {};
  // A directory that becomes a layer below all others of a run; empty: none.
  std::string lowest_layer = {};
  // What the cgroup of a run is bounded to.
  RunLimits cgroup_limits;
  // Whether, without cgroups, rlimits of its processes are to bound memory and processes.
  bool wants_rlimits = true;
  // How long a sandbox may take before its command starts, which is not the command's time. Zero:
  // all is the command's time.
  absl::Duration start_limit = absl::ZeroDuration();
  // How long it may take to end everything in it before it is killed from outside.
  absl::Duration kill_grace = absl::Seconds(5);
};

// The order for the zygote, and the descriptors that it names, to be kept until it was given. The
// mount, the network, the sockets and the cgroup are not the tier's to fill in.
struct TierSandbox {
  Zygote::Order order;
  std::vector<UniqueFd> files = {};
};

// How one way of isolating makes sandboxes. Thread-safe.
class IsolationTier {
 public:
  virtual ~IsolationTier() = default;

  virtual const TierTraits& traits() const = 0;

  // `mount_point`: where the order's process will find the run's overlay, of which `root` is the
  // descriptor. FailedPrecondition: the tier cannot run such an image; the message says why.
  virtual absl::StatusOr<TierSandbox> Prepare(const std::string& hostname,
                                              const std::string& mount_point, int root) const = 0;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_ISOLATION_TIER_H_
