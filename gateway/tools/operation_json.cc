#include "gateway/tools/operation_json.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gateway/tools/text_encoding.h"

namespace contree::gateway {
namespace {

using contree::v1::Operation;
using contree::v1::OperationKind;
using contree::v1::OperationState;
using nlohmann::ordered_json;

constexpr absl::string_view kProperties = R"({
  "operation_id": {"type": "string", "description": "UUID of the operation; give it to get_operation, wait_operations or cancel_operation."},
  "kind": {"type": "string", "description": "instance (a command on an image) or image_import."},
  "state": {"type": "string", "description": "PENDING, ASSIGNED, EXECUTING, then SUCCESS, FAILED or CANCELLED. SUCCESS: the platform ran the command; exit_code says how the command ended."},
  "error": {"type": "string", "description": "Why the platform FAILED to do its part."},
  "image": {"type": "string", "description": "UUID of the image it started from."},
  "result_image": {"type": "string", "description": "UUID of the image it made; absent for a disposable run. Run on it to continue from here."},
  "result_tag": {"type": "string", "description": "Tag of result_image."},
  "filesystem_changed": {"type": "boolean", "description": "Whether result_image is a new image and not the input."},
  "exit_code": {"type": "integer", "description": "What the command returned; 0 is success, -1 where a signal ended it."},
  "signal": {"type": "integer", "description": "Signal that ended the command; 0: none."},
  "timed_out": {"type": "boolean", "description": "The command was ended because its timeout was up."},
  "stdout": {"type": "string", "description": "What the command wrote, up to truncate_output_at bytes."},
  "stderr": {"type": "string"},
  "stdout_truncated": {"type": "boolean", "description": "More was written than is shown."},
  "stderr_truncated": {"type": "boolean"},
  "stdout_encoding": {"type": "string", "description": "base64 where stdout is not UTF-8; absent otherwise."},
  "stderr_encoding": {"type": "string"},
  "duration_seconds": {"type": "number", "description": "How long it took, or takes so far."},
  "resources": {
    "type": "object",
    "properties": {
      "user_cpu_seconds": {"type": "number"},
      "system_cpu_seconds": {"type": "number"},
      "elapsed_seconds": {"type": "number"},
      "max_rss_bytes": {"type": "integer"},
      "cost": {"type": "number", "description": "In the platform's unit."},
      "block_input": {"type": "integer"},
      "block_output": {"type": "integer"},
      "minor_page_faults": {"type": "integer"},
      "major_page_faults": {"type": "integer"},
      "voluntary_context_switches": {"type": "integer"},
      "involuntary_context_switches": {"type": "integer"}
    }
  }
})";

void SetStream(const contree::v1::OutputStream& stream, const std::string& name,
               ordered_json& json) {
  EncodedBytes encoded = EncodeBytes(stream.data(), stream.truncated());
  json[name] = std::move(encoded.text);
  json[name + "_truncated"] = stream.truncated();
  if (encoded.is_base64) json[name + "_encoding"] = "base64";
}

ordered_json ResourcesJson(const contree::v1::Resources& resources) {
  ordered_json json = ordered_json::object();
  json["user_cpu_seconds"] = DurationSeconds(resources.user_cpu());
  json["system_cpu_seconds"] = DurationSeconds(resources.system_cpu());
  json["elapsed_seconds"] = DurationSeconds(resources.elapsed());
  json["max_rss_bytes"] = resources.max_rss_bytes();
  json["cost"] = resources.cost();
  json["block_input"] = resources.block_input();
  json["block_output"] = resources.block_output();
  json["minor_page_faults"] = resources.minor_page_faults();
  json["major_page_faults"] = resources.major_page_faults();
  json["voluntary_context_switches"] = resources.voluntary_context_switches();
  json["involuntary_context_switches"] = resources.involuntary_context_switches();
  return json;
}

void SetText(const std::string& text, const char* name, ordered_json& json) {
  if (!text.empty()) json[name] = text;
}

}  // namespace

std::string StateName(OperationState state) {
  switch (state) {
    case contree::v1::OPERATION_STATE_PENDING:
      return "PENDING";
    case contree::v1::OPERATION_STATE_ASSIGNED:
      return "ASSIGNED";
    case contree::v1::OPERATION_STATE_EXECUTING:
      return "EXECUTING";
    case contree::v1::OPERATION_STATE_SUCCESS:
      return "SUCCESS";
    case contree::v1::OPERATION_STATE_FAILED:
      return "FAILED";
    case contree::v1::OPERATION_STATE_CANCELLED:
      return "CANCELLED";
    default:
      return "UNKNOWN";
  }
}

std::string KindName(OperationKind kind) {
  switch (kind) {
    case contree::v1::OPERATION_KIND_INSTANCE:
      return "instance";
    case contree::v1::OPERATION_KIND_IMAGE_IMPORT:
      return "image_import";
    default:
      return "unknown";
  }
}

OperationState StateByName(absl::string_view name) {
  for (int value = contree::v1::OPERATION_STATE_PENDING;
       value <= contree::v1::OPERATION_STATE_CANCELLED; ++value) {
    const auto state = static_cast<OperationState>(value);
    if (name == StateName(state)) return state;
  }
  return contree::v1::OPERATION_STATE_UNSPECIFIED;
}

OperationKind KindByName(absl::string_view name) {
  if (name == "instance") return contree::v1::OPERATION_KIND_INSTANCE;
  if (name == "image_import") return contree::v1::OPERATION_KIND_IMAGE_IMPORT;
  return contree::v1::OPERATION_KIND_UNSPECIFIED;
}

bool IsFinal(OperationState state) {
  return state == contree::v1::OPERATION_STATE_SUCCESS ||
         state == contree::v1::OPERATION_STATE_FAILED ||
         state == contree::v1::OPERATION_STATE_CANCELLED;
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ",
                          absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()),
                          absl::UTCTimeZone());
}

double DurationSeconds(const google::protobuf::Duration& duration) {
  return static_cast<double>(duration.seconds()) + static_cast<double>(duration.nanos()) / 1e9;
}

ordered_json OperationJson(const Operation& operation) {
  ordered_json json = ordered_json::object();
  json["operation_id"] = operation.id();
  json["kind"] = KindName(operation.kind());
  json["state"] = StateName(operation.state());
  SetText(operation.error(), "error", json);
  SetText(operation.image(), "image", json);
  SetText(operation.result_image(), "result_image", json);
  SetText(operation.result_tag(), "result_tag", json);
  if (operation.kind() == contree::v1::OPERATION_KIND_INSTANCE && IsFinal(operation.state())) {
    json["filesystem_changed"] =
        !operation.result_image().empty() && operation.result_image() != operation.image();
  }
  if (operation.has_instance()) {
    const contree::v1::InstanceResult& result = operation.instance();
    json["exit_code"] = result.exit_code();
    json["signal"] = result.signal();
    json["timed_out"] = result.timed_out();
    SetStream(result.stdout(), "stdout", json);
    SetStream(result.stderr(), "stderr", json);
  }
  if (operation.has_duration()) json["duration_seconds"] = DurationSeconds(operation.duration());
  if (operation.instance().has_resources()) {
    json["resources"] = ResourcesJson(operation.instance().resources());
  }
  return json;
}

std::string OperationSchema(absl::string_view required) {
  return absl::StrCat(R"({"type": "object", "required": )", required, R"(, "properties": )",
                      kProperties, "}");
}

}  // namespace contree::gateway
