#ifndef LOCAL_BACKEND_SANDBOX_MICROVM_TIER_H_
#define LOCAL_BACKEND_SANDBOX_MICROVM_TIER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "common/files/unique_fd.h"
#include "local-backend/sandbox/isolation_tier.h"
#include "local-backend/sandbox/microvm.h"

namespace contree {

// Commands in virtual machines: microvm.h.
class MicrovmTier final : public IsolationTier {
 public:
  // `bubblewrap`: the absolute path. FailedPrecondition: QEMU or a kernel is not there, or the
  // kernel cannot do what is needed; the message says what to install.
  static absl::StatusOr<std::unique_ptr<MicrovmTier>> Create(const std::string& bubblewrap,
                                                             const MicrovmOptions& options,
                                                             const RunLimits& limits);

  const TierTraits& traits() const override { return traits_; }
  absl::StatusOr<TierSandbox> Prepare(const std::string& hostname, const std::string& mount_point,
                                      int root) const override;

 private:
  MicrovmTier(TierTraits traits, MicrovmCommandOptions command, GuestKernel kernel, UniqueFd relay);

  const TierTraits traits_;
  const MicrovmCommandOptions command_;  // all but the root and the hostname
  const GuestKernel kernel_;
  const UniqueFd relay_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_MICROVM_TIER_H_
