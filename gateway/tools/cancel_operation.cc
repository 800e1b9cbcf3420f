// cancel_operation: stops an operation.

#include "gateway/tools/next_step.h"
#include "gateway/tools/operation_error.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(Stop an operation and wait until it has stopped. Free. What its command changed is lost; the image it ran on stays as it was. For an operation that has already ended nothing happens: cancelled is false and state says how it ended.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["operation_id"],
  "properties": {
    "operation_id": {"type": "string", "minLength": 1, "description": "As returned by run."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["cancelled", "operation_id", "state"],
  "properties": {
    "cancelled": {"type": "boolean", "description": "This call ended it."},
    "operation_id": {"type": "string"},
    "state": {"type": "string", "description": "CANCELLED, or how it had ended before: SUCCESS or FAILED."}
  }
})";

absl::StatusOr<ToolOutput> HandleCancelOperation(const json& arguments, RequestContext& context,
                                                 const Services& services) {
  contree::v1::CancelOperationRequest request;
  request.set_operation_id(arguments.at("operation_id").get<std::string>());
  const auto response = CallUnary(*services.contree, &Stub::CancelOperation, request, context.call);
  if (!response.ok()) {
    return WithNextStep(NameOperation(response.status(), request.operation_id()),
                        absl::StatusCode::kNotFound, "list_operations shows the operations");
  }
  ToolOutput output;
  output.structured["cancelled"] = response->cancelled();
  output.structured["operation_id"] = request.operation_id();
  output.structured["state"] = StateName(response->operation().state());
  return output;
}

}  // namespace

Tool CancelOperationTool() {
  return {
      .name = "cancel_operation",
      .title = "Cancel an operation",
      .annotations = {.read_only = false,
                      .destructive = true,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleCancelOperation,
  };
}

}  // namespace contree::gateway
