#ifndef COMMON_RETRY_BACKOFF_H_
#define COMMON_RETRY_BACKOFF_H_

// When to try again: exponentially growing pauses with jitter, so that callers who failed together
// do not return together.

#include "absl/random/random.h"
#include "absl/time/time.h"

namespace contree {

struct BackoffPolicy {
  absl::Duration first = absl::Milliseconds(100);
  absl::Duration largest = absl::Seconds(5);
  double factor = 2;
  // Each pause is taken evenly from [1 - jitter, 1] of its length.
  double jitter = 0.3;
};

// Used by one thread.
class Backoff {
 public:
  explicit Backoff(const BackoffPolicy& policy) : policy_(policy), next_(policy.first) {}

  // The next pause.
  absl::Duration Next();
  // Begins again with the first.
  void Reset() { next_ = policy_.first; }

 private:
  BackoffPolicy policy_;
  absl::Duration next_;
  absl::BitGen random_;
};

}  // namespace contree

#endif  // COMMON_RETRY_BACKOFF_H_
