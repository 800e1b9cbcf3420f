#include "gateway/tools/started_operation.h"

#include <stop_token>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"
#include "gateway/tools/follow_operation.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/progress_text.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using contree::v1::Operation;
using contree::v1::OperationEvent;
using Stub = contree::v1::ContreeService::StubInterface;

// What an operation may take besides its own time: queueing, starting, storing the result.
constexpr absl::Duration kMargin = absl::Seconds(60);
// Cancelling waits until the platform has stopped it.
constexpr absl::Duration kCancelTimeout = absl::Seconds(30);

absl::StatusOr<std::string> StartUnlessAbandoned(
    const RequestContext& context,
    absl::FunctionRef<absl::StatusOr<std::string>(const CallContext&)> start) {
  std::stop_source abandoned;
  const std::stop_callback on_stop(context.call.stop, [&context, &abandoned] {
    if (!context.cancelled_by_client()) abandoned.request_stop();
  });
  CallContext call = context.call;
  call.stop = abandoned.get_token();
  return start(call);
}

absl::Status Cancel(Stub& stub, const std::string& operation_id, const CallContext& context) {
  CallContext call = context;
  call.stop = {};  // it is requested already
  call.deadline = absl::Now() + kCancelTimeout;
  contree::v1::CancelOperationRequest request;
  request.set_operation_id(operation_id);
  return CallUnary(stub, &Stub::CancelOperation, request, call).status();
}

}  // namespace

absl::StatusOr<ToolOutput> StartOperation(
    bool wait, absl::Duration timeout, RequestContext& context, const Services& services,
    absl::FunctionRef<absl::StatusOr<std::string>(const CallContext&)> start) {
  if (wait) context.call.deadline = absl::Now() + timeout + kMargin;
  Stub& stub = *services.contree;
  ASSIGN_OR_RETURN(const std::string operation_id, StartUnlessAbandoned(context, start));

  ToolOutput output;
  if (!wait && !context.cancelled_by_client()) {
    output.structured["operation_id"] = operation_id;
    return output;
  }
  context.report_progress(absl::StrCat("operation ", operation_id, " started"));
  const absl::StatusOr<Operation> operation = FollowOperation(
      stub, *services.clock, operation_id, context.call, [&context](const OperationEvent& event) {
        if (const std::string text = ProgressText(event); !text.empty()) {
          context.report_progress(text);
        }
      });
  if (!operation.ok()) {
    if (!context.cancelled_by_client()) return operation.status();
    const absl::Status cancelled = Cancel(stub, operation_id, context.call);
    return cancelled.ok()
               ? operation.status()
               : Annotate(cancelled, absl::StrCat("cancelling operation ", operation_id));
  }
  output.structured = OperationJson(*operation);
  output.is_error = operation->state() == contree::v1::OPERATION_STATE_FAILED;
  return output;
}

}  // namespace contree::gateway
