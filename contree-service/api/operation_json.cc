#include "contree-service/api/operation_json.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/secret/secret_string.h"
#include "common/text/json_text.h"
#include "common/uuid/uuid.h"
#include "contree-service/api/json_fields.h"
#include "contree-service/api/proto_time.h"

namespace contree {
namespace {

using json_fields::Bool;
using json_fields::Int;
using json_fields::Json;
using json_fields::Member;
using json_fields::Number;
using json_fields::String;

constexpr int64_t kBytesPerKilobyte = 1024;
constexpr char kDefaultHostname[] = "linuxkit";
constexpr absl::Duration kDefaultTimeout = absl::Seconds(30);
constexpr absl::Duration kDefaultImportTimeout = absl::Seconds(300);
constexpr int64_t kDefaultTruncateOutputAt = 8000;
constexpr int64_t kDefaultMaxLayerBytes = int64_t{12} << 30;

struct StateWord {
  v1::OperationState state;
  absl::string_view word;
};
constexpr StateWord kStates[] = {
    {v1::OPERATION_STATE_PENDING, "PENDING"},     {v1::OPERATION_STATE_ASSIGNED, "ASSIGNED"},
    {v1::OPERATION_STATE_EXECUTING, "EXECUTING"}, {v1::OPERATION_STATE_SUCCESS, "SUCCESS"},
    {v1::OPERATION_STATE_FAILED, "FAILED"},       {v1::OPERATION_STATE_CANCELLED, "CANCELLED"},
};

v1::OperationState StateFromWord(absl::string_view word) {
  for (const StateWord& known : kStates) {
    if (known.word == word) return known.state;
  }
  return v1::OPERATION_STATE_UNSPECIFIED;
}

// The API's "no signal" is -1 or 0; a command that a signal ended has no exit code of its own.
template <typename Ended>
void SetHowItEnded(int64_t exit_code, int64_t signal, bool timed_out, Ended* ended) {
  ended->set_signal(static_cast<int32_t>(std::max<int64_t>(signal, 0)));
  ended->set_exit_code(signal > 0 ? -1 : static_cast<int32_t>(exit_code));
  ended->set_timed_out(timed_out);
}

// A duration that is finite and within what protobuf's may hold.
void SetSeconds(double seconds, google::protobuf::Duration* duration) {
  constexpr double kMaxSeconds = 315'576'000'000;
  SetDuration(
      absl::Seconds(std::isnan(seconds) ? 0 : std::clamp(seconds, -kMaxSeconds, kMaxSeconds)),
      duration);
}

void SetStream(const Json& json, v1::OutputStream* stream) {
  stream->set_data(json_fields::StreamBytes(json));
  stream->set_truncated(Bool(json, "truncated"));
}

}  // namespace

v1::InstanceResult InstanceResultFromJson(const Json& result) {
  v1::InstanceResult instance;
  const Json& state = Member(result, "state");
  SetHowItEnded(Int(state, "exit_code"), Int(state, "signal"), Bool(state, "timed_out"), &instance);
  SetStream(Member(result, "stdout"), instance.mutable_stdout());
  SetStream(Member(result, "stderr"), instance.mutable_stderr());
  const Json& json = Member(result, "resources");
  v1::Resources* resources = instance.mutable_resources();
  SetSeconds(Number(json, "user_cpu_time"), resources->mutable_user_cpu());
  SetSeconds(Number(json, "system_cpu_time"), resources->mutable_system_cpu());
  SetSeconds(Number(json, "elapsed_time"), resources->mutable_elapsed());
  resources->set_max_rss_bytes(Int(json, "max_rss") * kBytesPerKilobyte);
  resources->set_cost(Number(json, "cost"));
  resources->set_block_input(Int(json, "block_input"));
  resources->set_block_output(Int(json, "block_output"));
  resources->set_minor_page_faults(Int(json, "page_faults"));
  resources->set_major_page_faults(Int(json, "page_faults_io"));
  resources->set_voluntary_context_switches(Int(json, "voluntary_switches"));
  resources->set_involuntary_context_switches(Int(json, "involuntary_switches"));
  return instance;
}

namespace {

std::string CommandLine(const Json& request) {
  std::string line = String(request, "command");
  const Json& args = Member(request, "args");
  if (!args.is_array()) return line;
  for (const Json& arg : args) {
    if (arg.is_string()) absl::StrAppend(&line, " ", arg.get<std::string>());
  }
  return line;
}

bool IsPlainAscii(absl::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](unsigned char c) {
    return absl::ascii_isprint(c) || c == '\t' || c == '\n' || c == '\r';
  });
}

void SetEvent(absl::string_view type, const Json& data, v1::OperationEvent* event) {
  if (type == "init") {
    event->mutable_state_changed()->set_state(v1::OPERATION_STATE_EXECUTING);
  } else if (type == "spawn") {
    event->mutable_process_started()->set_command(CommandLine(data));
  } else if (type == "stdout" || type == "stderr") {
    event->mutable_output()->set_stream(type == "stdout" ? v1::OperationEvent::STREAM_STDOUT
                                                         : v1::OperationEvent::STREAM_STDERR);
    event->mutable_output()->set_data(json_fields::StreamBytes(data));
  } else if (type == "exit") {
    SetHowItEnded(Int(data, "code"), Int(data, "signal"), Bool(data, "timed_out"),
                  event->mutable_process_exited());
  }
}

}  // namespace

bool IsFinal(v1::OperationState state) {
  return state == v1::OPERATION_STATE_SUCCESS || state == v1::OPERATION_STATE_FAILED ||
         state == v1::OPERATION_STATE_CANCELLED;
}

absl::string_view StateName(v1::OperationState state) {
  for (const StateWord& known : kStates) {
    if (known.state == state) return known.word;
  }
  return "";
}

absl::string_view KindName(v1::OperationKind kind) {
  if (kind == v1::OPERATION_KIND_INSTANCE) return "instance";
  if (kind == v1::OPERATION_KIND_IMAGE_IMPORT) return "image_import";
  return "";
}

v1::Operation OperationFromJson(const Json& json) {
  v1::Operation operation;
  operation.set_id(String(json, "uuid"));
  const std::string kind = String(json, "kind");
  if (kind == "instance") operation.set_kind(v1::OPERATION_KIND_INSTANCE);
  if (kind == "image_import") operation.set_kind(v1::OPERATION_KIND_IMAGE_IMPORT);
  operation.set_state(StateFromWord(String(json, "status")));
  const Json& error = Member(json, "error");
  if (!error.is_null())
    operation.set_error(error.is_string() ? error.get<std::string>() : json_fields::Dump(error));
  operation.set_image(String(json, "image_uuid"));
  const Json& result = Member(json, "result");
  operation.set_result_image(String(json, "result_image_uuid"));
  if (operation.result_image().empty() && IsUuid(String(result, "image"))) {
    operation.set_result_image(String(result, "image"));
  }
  operation.set_result_tag(String(result, "tag"));
  if (const absl::Time created = json_fields::Time(json, "created_at");
      created != absl::InfinitePast()) {
    SetTime(created, operation.mutable_created_at());
  }
  SetSeconds(Number(json, "duration"), operation.mutable_duration());
  operation.set_layer_bytes(Int(json, "image_size"));
  const Json& metadata = Member(json, "metadata");
  if (operation.kind() == v1::OPERATION_KIND_INSTANCE) {
    operation.set_command(CommandLine(metadata));
    // While the command runs, its result holds placeholders.
    if (Member(metadata, "result").is_object() && IsFinal(operation.state())) {
      *operation.mutable_instance() = InstanceResultFromJson(Member(metadata, "result"));
    }
  } else if (operation.kind() == v1::OPERATION_KIND_IMAGE_IMPORT) {
    const Json& registry = Member(metadata, "registry");
    operation.mutable_import()->set_registry_url(registry.is_string() ? registry.get<std::string>()
                                                                      : String(registry, "url"));
  }
  return operation;
}

std::optional<StreamedEvent> EventFromFrame(const SseFrame& frame) {
  StreamedEvent streamed;
  if (frame.event == "sse_error") {
    streamed.failure = true;
    return streamed;
  }
  const Json json = Json::parse(frame.data, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  if (!absl::SimpleAtoi(frame.id, &streamed.id)) streamed.id = Int(json, "id", -1);
  std::string type = String(json, "type");
  if (type.empty()) type = frame.event;
  streamed.completion = type == "completion";
  v1::OperationEvent event;
  event.set_id(streamed.id);
  if (const absl::Time time = json_fields::Time(json, "ts"); time != absl::InfinitePast()) {
    SetTime(time, event.mutable_time());
  }
  // Process 1 is the command; 0 is the platform's own, and 2 and up were started beside it by
  // somebody else.
  const int64_t process = Int(json, "spid");
  if (process <= 1) SetEvent(type, Member(json, "data"), &event);
  if (event.event_case() != v1::OperationEvent::EVENT_NOT_SET || streamed.completion)
    streamed.event = std::move(event);
  return streamed;
}

Json StreamJson(absl::string_view bytes) {
  const bool plain = IsPlainAscii(bytes);
  return {{"value", plain ? std::string(bytes) : absl::Base64Escape(bytes)},
          {"encoding", plain ? "ascii" : "base64"}};
}

namespace {

// There may be tens of thousands.
std::string FilesObject(const v1::RunInstanceRequest& request) {
  std::string json = "{";
  for (const auto& [path, file] : request.files()) {
    if (json.size() > 1) json.push_back(',');
    AppendJsonString(path, &json);
    json.append(":{\"uuid\":");
    AppendJsonString(file.uuid(), &json);
    absl::StrAppendFormat(&json, ",\"mode\":\"%04o\",\"uid\":%u,\"gid\":%u}",
                          file.has_mode() ? file.mode() : 0644u, file.uid(), file.gid());
  }
  json.push_back('}');
  return json;
}

}  // namespace

std::string InstanceBody(const v1::RunInstanceRequest& request, absl::string_view image) {
  Json body = {
      {"command", request.command()},
      {"image", std::string(image)},
      {"args", Json::array()},
      {"shell", request.shell()},
      {"env", Json::object()},
      {"preserve_env", request.preserve_env()},
      {"cwd", request.cwd().empty() ? "/" : request.cwd()},
      {"uid", request.uid()},
      {"gid", request.gid()},
      {"hostname", request.hostname().empty() ? kDefaultHostname : request.hostname()},
      {"truncate_output_at",
       request.truncate_output_at() == 0 ? kDefaultTruncateOutputAt : request.truncate_output_at()},
      {"disposable", request.disposable()},
      {"resources_limits",
       {{"max_layer_bytes",
         request.max_layer_bytes() == 0 ? kDefaultMaxLayerBytes : request.max_layer_bytes()}}},
      {"networking", {{"enabled", !request.networking_disabled()}}},
  };
  const absl::Duration timeout =
      request.has_timeout() ? GetDuration(request.timeout()) : kDefaultTimeout;
  body["timeout"] = absl::ToInt64Seconds(absl::Ceil(timeout, absl::Seconds(1)));
  for (const std::string& arg : request.args()) body["args"].push_back(arg);
  for (const auto& [name, value] : request.env()) body["env"][name] = value;
  if (!request.stdin().empty()) {
    body["stdin"] = StreamJson(request.stdin());
    body["stdin"]["close"] = true;
  }
  std::string text = json_fields::Dump(body);
  text.back() = ',';  // the brace comes behind the files
  absl::StrAppend(&text, "\"files\":", FilesObject(request), "}");
  return text;
}

std::string ImportBody(const v1::ImportImageRequest& request, bool with_realm) {
  Json body = {{"registry", {{"url", request.registry_url()}}}};
  const absl::Duration timeout =
      request.has_timeout() ? GetDuration(request.timeout()) : kDefaultImportTimeout;
  body["timeout"] = absl::ToInt64Seconds(absl::Ceil(timeout, absl::Seconds(1)));
  if (!request.tag().empty()) body["tag"] = request.tag();
  if (request.has_credentials()) {
    body["registry"]["credentials"] = {{"username", request.credentials().username()},
                                       {"password", request.credentials().password()}};
    if (with_realm && !request.credentials().realm().empty()) {
      body["registry"]["credentials"]["realm"] = request.credentials().realm();
    }
  }
  std::string text = json_fields::Dump(body);
  if (request.has_credentials()) {
    Wipe(body["registry"]["credentials"]["password"].get_ref<std::string&>());
  }
  return text;
}

}  // namespace contree
