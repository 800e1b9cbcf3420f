#include "gateway/tools/follow_operation.h"

#include <memory>
#include <optional>
#include <utility>

#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "gateway/tools/operation_error.h"
#include "gateway/tools/reconnect_pacer.h"

namespace contree::gateway {
namespace {

using contree::v1::ContreeService;
using contree::v1::Operation;
using contree::v1::OperationEvent;
using contree::v1::WatchOperationRequest;
using contree::v1::WatchOperationResponse;

absl::Status EndedError(const CallContext& context) {
  if (context.stop.stop_requested()) {
    return absl::CancelledError("nobody waits for it any more; it goes on");
  }
  return absl::DeadlineExceededError(
      "it has not ended yet; it goes on, and wait_operations waits for it again");
}

// One stream. The record once the operation is final; nullopt where the stream ended without it.
absl::StatusOr<std::optional<Operation>> WatchOnce(
    ContreeService::StubInterface& stub, const WatchOperationRequest& request,
    const CallContext& context, absl::FunctionRef<void(const OperationEvent&)> on_event) {
  OutgoingCall call(context);
  const auto reader = stub.WatchOperation(call.client_context(), request);
  std::optional<Operation> completed;
  WatchOperationResponse response;
  while (reader->Read(&response)) {
    if (response.event().has_completed()) {
      completed = std::move(*response.mutable_event()->mutable_completed());
    } else {
      on_event(response.event());
    }
  }
  const grpc::Status status = reader->Finish();
  // What arrived whole is not thrown away because the stream ended badly behind it.
  if (completed.has_value()) return completed;
  if (!status.ok()) return FromGrpcStatus(status);
  return std::nullopt;
}

}  // namespace

absl::StatusOr<Operation> FollowOperation(ContreeService::StubInterface& stub, Clock& clock,
                                          const std::string& operation_id,
                                          const CallContext& context,
                                          absl::FunctionRef<void(const OperationEvent&)> on_event) {
  WatchOperationRequest request;
  request.set_operation_id(operation_id);
  ReconnectPacer pacer(clock);
  while (true) {
    absl::StatusOr<std::optional<Operation>> result =
        WatchOnce(stub, request, context, [&](const OperationEvent& event) {
          pacer.Reset();
          // A resumed stream may repeat what was seen; events that the service made itself (-1)
          // have no place in that order.
          if (event.id() >= 0) {
            if (request.has_after_event_id() && event.id() <= request.after_event_id()) return;
            request.set_after_event_id(event.id());
          }
          on_event(event);
        });
    if (result.ok() && result->has_value()) return std::move(**result);
    if (context.stop.stop_requested() || clock.Now() >= context.deadline) {
      return NameOperation(EndedError(context), operation_id);
    }
    const absl::Status error =
        result.ok() ? absl::UnavailableError("its event stream ended before the operation did")
                    : result.status();
    if (pacer.WaitAfter(error, context)) continue;
    if (context.stop.stop_requested() || absl::IsDeadlineExceeded(error)) {
      return NameOperation(EndedError(context), operation_id);
    }
    return NameOperation(error, operation_id);
  }
}

}  // namespace contree::gateway
