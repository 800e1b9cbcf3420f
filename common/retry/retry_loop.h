#ifndef COMMON_RETRY_RETRY_LOOP_H_
#define COMMON_RETRY_RETRY_LOOP_H_

// The one retry loop. What may be tried again is decided by the attempt, which knows the protocol;
// when and how often is decided here. No call path has two of them.

#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/retry/backoff.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"

namespace contree {

struct RetryPolicy {
  int max_attempts = 10;
  BackoffPolicy backoff = {};
  // Where nobody answers at all for so long, no more is tried: a program that restarts is back by
  // then, and an address that is wrong stays wrong.
  absl::Duration max_unreachable = absl::Seconds(3);
};

// How one attempt ended.
struct Attempt {
  absl::Status status;
  // Whether another attempt may succeed and does no harm.
  bool may_retry = false;
  // There was no other side to talk to.
  bool unreachable = false;
  // The pause that the other side asked for; it replaces the policy's.
  std::optional<absl::Duration> retry_after = std::nullopt;
};

// Runs `attempt` until it succeeds, may not be retried, max_attempts are used up, or the pause
// before the next one would end after context.deadline, or nobody was there for max_unreachable.
// Returns the last attempt's status; its message says why no more was tried. Cancelled:
// context.stop was requested while it paused.
absl::Status RunWithRetries(const RetryPolicy& policy, Clock& clock, const CallContext& context,
                            absl::FunctionRef<Attempt()> attempt);

}  // namespace contree

#endif  // COMMON_RETRY_RETRY_LOOP_H_
