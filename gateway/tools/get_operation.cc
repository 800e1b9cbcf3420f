// get_operation: one operation as it is now.

#include "common/status/status_macros.h"
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
    R"(Look at one operation as it is now, with the output of its command once it has ended. Free; does not wait. To wait for an operation use wait_operations instead of calling this again and again.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["operation_id"],
  "properties": {
    "operation_id": {"type": "string", "minLength": 1, "description": "As returned by run."}
  }
})";

absl::StatusOr<ToolOutput> HandleGetOperation(const json& arguments, RequestContext& context,
                                              const Services& services) {
  contree::v1::GetOperationRequest request;
  request.set_operation_id(arguments.at("operation_id").get<std::string>());
  const auto response = CallUnary(*services.contree, &Stub::GetOperation, request, context.call);
  if (!response.ok()) {
    return WithNextStep(NameOperation(response.status(), request.operation_id()),
                        absl::StatusCode::kNotFound, "list_operations shows the operations");
  }
  return ToolOutput{.structured = OperationJson(response->operation())};
}

}  // namespace

Tool GetOperationTool() {
  return {
      .name = "get_operation",
      .title = "Look at an operation",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = OperationSchema(),
      .handler = HandleGetOperation,
  };
}

}  // namespace contree::gateway
