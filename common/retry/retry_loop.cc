#include "common/retry/retry_loop.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace contree {
namespace {

// Keeps the code and the payloads; says at the end why it stopped.
absl::Status WithReason(const absl::Status& status, absl::string_view reason) {
  absl::Status result(status.code(), absl::StrCat(status.message(), " (", reason, ")"));
  status.ForEachPayload([&result](absl::string_view url, const absl::Cord& payload) {
    result.SetPayload(url, payload);
  });
  return result;
}

}  // namespace

absl::Status RunWithRetries(const RetryPolicy& policy, Clock& clock, const CallContext& context,
                            absl::FunctionRef<Attempt()> attempt) {
  Backoff backoff(policy.backoff);
  absl::Time absent_since = absl::InfiniteFuture();
  for (int made = 1;; ++made) {
    const absl::Time started = clock.Now();
    const Attempt result = attempt();
    if (result.status.ok() || !result.may_retry) return result.status;
    if (made >= policy.max_attempts)
      return WithReason(result.status, absl::StrCat("gave up after ", made, " attempts"));
    absl::Duration pause =
        std::max(result.retry_after.value_or(backoff.Next()), absl::ZeroDuration());
    absent_since = result.unreachable ? std::min(absent_since, started) : absl::InfiniteFuture();
    if (result.unreachable) {
      const absl::Duration absent = clock.Now() - absent_since;
      if (absent >= policy.max_unreachable) {
        return WithReason(
            result.status,
            absl::StrCat("gave up after ", made, made == 1 ? " attempt" : " attempts",
                         ": nobody was there for ",
                         absl::FormatDuration(absl::Trunc(absent, absl::Milliseconds(100)))));
      }
      // The last attempt is made when the time is just up.
      pause = std::min(pause, policy.max_unreachable - absent);
    }
    if (clock.Now() + pause >= context.deadline) {
      return WithReason(result.status,
                        absl::StrCat("gave up after ", made, made == 1 ? " attempt" : " attempts",
                                     ": the next one would start after the call's deadline"));
    }
    if (!clock.Sleep(pause, context.stop)) {
      return absl::CancelledError(
          absl::StrCat("cancelled while waiting to try again after: ", result.status.message()));
    }
  }
}

}  // namespace contree
