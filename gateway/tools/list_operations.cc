// list_operations: one page of the operations.

#include "common/status/status_macros.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(List operations, newest first, without their output. Free. Use it to find what still runs (status=EXECUTING) or an operation whose id was lost; get_operation shows one with its output.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "properties": {
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100, "description": "How many at most."},
    "status": {"type": "string", "enum": ["PENDING", "ASSIGNED", "EXECUTING", "SUCCESS", "FAILED", "CANCELLED"], "description": "Only operations in this state."},
    "type": {"type": "string", "enum": ["instance", "image_import"], "description": "Only operations of this kind."},
    "since": {"type": "string", "description": "Only what was started after: an ISO 8601 time, or an age such as 15m, 2h, 3d, 1w."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["operations"],
  "properties": {
    "operations": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["uuid", "kind", "state"],
        "properties": {
          "uuid": {"type": "string", "description": "The operation's id."},
          "kind": {"type": "string", "description": "instance (a command on an image) or image_import."},
          "state": {"type": "string", "description": "PENDING, ASSIGNED, EXECUTING, SUCCESS, FAILED or CANCELLED."},
          "created_at": {"type": "string", "description": "RFC 3339, UTC."},
          "duration_seconds": {"type": "number"},
          "error": {"type": "string", "description": "Why it FAILED."}
        }
      }
    }
  }
})";

ordered_json SummaryJson(const contree::v1::Operation& operation) {
  ordered_json json = ordered_json::object();
  json["uuid"] = operation.id();
  json["kind"] = KindName(operation.kind());
  json["state"] = StateName(operation.state());
  if (operation.has_created_at()) json["created_at"] = TimeText(operation.created_at());
  if (operation.has_duration()) json["duration_seconds"] = DurationSeconds(operation.duration());
  if (!operation.error().empty()) json["error"] = operation.error();
  return json;
}

absl::StatusOr<ToolOutput> HandleListOperations(const json& arguments, RequestContext& context,
                                                const Services& services) {
  contree::v1::ListOperationsRequest request;
  request.set_limit(arguments.at("limit").get<int32_t>());
  request.set_state(StateByName(arguments.value("status", "")));
  request.set_kind(KindByName(arguments.value("type", "")));
  request.set_since(arguments.value("since", ""));
  ASSIGN_OR_RETURN(const contree::v1::ListOperationsResponse response,
                   CallUnary(*services.contree, &Stub::ListOperations, request, context.call));
  ToolOutput output;
  auto& operations = output.structured["operations"] = ordered_json::array();
  for (const auto& operation : response.operations()) operations.push_back(SummaryJson(operation));
  return output;
}

}  // namespace

Tool ListOperationsTool() {
  return {
      .name = "list_operations",
      .title = "List operations",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleListOperations,
  };
}

}  // namespace contree::gateway
