#include "gateway/tools/reconnect_pacer.h"

#include <algorithm>

namespace contree::gateway {
namespace {

constexpr BackoffPolicy kPolicy = {.first = absl::Milliseconds(50), .largest = absl::Seconds(2)};
constexpr absl::Duration kGiveUpAfter = absl::Seconds(30);

}  // namespace

ReconnectPacer::ReconnectPacer(Clock& clock) : clock_(clock), backoff_(kPolicy) {}

void ReconnectPacer::Reset() {
  backoff_.Reset();
  failing_since_ = absl::InfiniteFuture();
}

bool ReconnectPacer::WaitAfter(const absl::Status& error, const CallContext& context) {
  if (!absl::IsUnavailable(error)) return false;
  const absl::Time now = clock_.Now();
  failing_since_ = std::min(failing_since_, now);
  if (now - failing_since_ > kGiveUpAfter) return false;
  const absl::Duration pause = backoff_.Next();
  if (now + pause >= context.deadline) return false;
  return clock_.Sleep(pause, context.stop);
}

}  // namespace contree::gateway
