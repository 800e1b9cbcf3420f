#include "common/retry/backoff.h"

#include <algorithm>

namespace contree {

absl::Duration Backoff::Next() {
  const absl::Duration whole = std::min(next_, policy_.largest);
  next_ = std::min(whole * policy_.factor, policy_.largest);
  return whole * absl::Uniform(absl::IntervalClosed, random_, 1 - policy_.jitter, 1.0);
}

}  // namespace contree
