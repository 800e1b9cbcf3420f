#ifndef GATEWAY_TOOLS_FOLLOW_OPERATION_H_
#define GATEWAY_TOOLS_FOLLOW_OPERATION_H_

// Waiting for operations through the event streams of contree-service. A stream that breaks is
// taken up again where it ended. Ending the wait never touches the operations.

#include <stop_token>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"
#include "contree/v1/contree_service.grpc.pb.h"

namespace contree::gateway {

// Pauses between attempts to reach a service that is away, and when to give up.
class ReconnectPacer {
 public:
  // Something arrived: the next failure is the first again.
  void Reset() { *this = ReconnectPacer(); }

  // Waits before the next attempt, 50 ms at first and 2 s in the end. False: do not try again, for
  // `error` is not of a kind that passes, `context` ended, or the service has been away for 30 s.
  bool WaitAfter(const absl::Status& error, const CallContext& context);

 private:
  absl::Duration pause_ = absl::Milliseconds(50);
  absl::Time failing_since_ = absl::InfiniteFuture();
};

// Returns the final record; `on_event` sees each event before it once. Every error names the
// operation. NotFound: no such operation. DeadlineExceeded and Cancelled: `context` ended first.
// Unavailable: the service stayed away.
absl::StatusOr<contree::v1::Operation> FollowOperation(
    contree::v1::ContreeService::StubInterface& stub, const std::string& operation_id,
    const CallContext& context,
    absl::FunctionRef<void(const contree::v1::OperationEvent&)> on_event);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_FOLLOW_OPERATION_H_
