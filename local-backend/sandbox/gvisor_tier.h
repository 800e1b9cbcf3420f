#ifndef LOCAL_BACKEND_SANDBOX_GVISOR_TIER_H_
#define LOCAL_BACKEND_SANDBOX_GVISOR_TIER_H_

#include <memory>
#include <string>

#include "common/files/unique_fd.h"
#include "local-backend/sandbox/isolation_tier.h"

namespace contree {

// Commands on gVisor's kernel, inside namespaces: gvisor.h.
class GvisorTier final : public IsolationTier {
 public:
  // `bubblewrap`: the absolute path; `runsc`: a path or a name on the PATH; `skeleton`: a directory
  // for MakeGvisorSkeleton. FailedPrecondition: runsc is not there.
  static absl::StatusOr<std::unique_ptr<GvisorTier>> Create(const std::string& bubblewrap,
                                                            const std::string& runsc,
                                                            const std::string& skeleton,
                                                            const RunLimits& limits);

  const TierTraits& traits() const override { return traits_; }
  absl::StatusOr<TierSandbox> Prepare(const std::string& hostname, const std::string& mount_point,
                                      int root) const override;

 private:
  GvisorTier(TierTraits traits, std::string bubblewrap, UniqueFd init);

  const TierTraits traits_;
  const std::string bubblewrap_;
  const UniqueFd init_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_GVISOR_TIER_H_
