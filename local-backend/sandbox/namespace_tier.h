#ifndef LOCAL_BACKEND_SANDBOX_NAMESPACE_TIER_H_
#define LOCAL_BACKEND_SANDBOX_NAMESPACE_TIER_H_

#include <string>

#include "local-backend/sandbox/bubblewrap.h"
#include "local-backend/sandbox/isolation_tier.h"

namespace contree {

// Commands on this machine's kernel, in namespaces, behind a filter of system calls.
class NamespaceTier final : public IsolationTier {
 public:
  // `bubblewrap`: the absolute path.
  NamespaceTier(const std::string& bubblewrap, const RunLimits& limits);

  const TierTraits& traits() const override { return traits_; }
  absl::StatusOr<TierSandbox> Prepare(const std::string& hostname, const std::string& mount_point,
                                      int root) const override;

 private:
  const TierTraits traits_;
  BubblewrapOptions bubblewrap_;  // all but the root and the hostname
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NAMESPACE_TIER_H_
