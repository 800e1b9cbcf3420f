#ifndef GATEWAY_TOOLS_RECONNECT_PACER_H_
#define GATEWAY_TOOLS_RECONNECT_PACER_H_

// Pauses between attempts to reach a service that is away for a moment, and when to give up.

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/retry/backoff.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"

namespace contree::gateway {

// Used by one thread.
class ReconnectPacer {
 public:
  explicit ReconnectPacer(Clock& clock);

  // Something arrived: the next failure is the first again.
  void Reset();

  // Waits before the next attempt, some 50 ms at first and 2 s in the end. False: do not try again,
  // for `error` is not Unavailable, `context` ends before, or all has failed for 30 s.
  bool WaitAfter(const absl::Status& error, const CallContext& context);

 private:
  Clock& clock_;
  Backoff backoff_;
  absl::Time failing_since_ = absl::InfiniteFuture();
};

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_RECONNECT_PACER_H_
