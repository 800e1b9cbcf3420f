// POST /instances.

#include <limits.h>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/json_fields.h"
#include "local-backend/api/routes.h"
#include "local-backend/operations/stream_representation.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxBody = 64 * 1024 * 1024;
constexpr size_t kMaxRecordedStdin = 64 * 1024;  // the command gets all of it
constexpr int64_t kMaxTimeoutSeconds = 3600;
constexpr int64_t kMaxTruncateAt = 10 * 1024 * 1024;
constexpr int64_t kMaxId = 65'534;  // 65535 means "none" to the kernel

absl::StatusOr<std::string> Stdin(JsonFields& fields) {
  const json* stdin_stream = fields.Object("stdin");
  if (stdin_stream == nullptr) return std::string();
  JsonFields stream(*stdin_stream);
  if (!stream.Bool("close", true)) {
    return absl::InvalidArgumentError(
        "stdin cannot be kept open: this backend takes it whole, with close true");
  }
  RETURN_IF_ERROR(stream.status());
  absl::StatusOr<std::string> bytes = FromStreamRepresentation(*stdin_stream);
  if (!bytes.ok())
    return absl::InvalidArgumentError(absl::StrCat("stdin: ", bytes.status().message()));
  return bytes;
}

// What a later issue brings must not be accepted and left undone.
absl::Status RefuseFiles(JsonFields& fields) {
  const json* files = fields.Object("files");
  if (files == nullptr) return absl::OkStatus();
  for (const auto& [path, file] : files->items()) {
    const bool named = file.is_object() && file.contains("uuid") && file["uuid"].is_string();
    return absl::InvalidArgumentError(absl::StrCat(
        "files: there is no file ", named ? file["uuid"].get<std::string>() : "without a uuid",
        " (for ", path, ")"));
  }
  return absl::OkStatus();
}

// The fields of an InstanceSpawnRequest, all defaults filled in.
json Echo(const InstanceRequest& request, const std::string& image) {
  const bool truncated = request.stdin_bytes.size() > kMaxRecordedStdin;
  json echo = {{"command", request.command},
               {"image", image},
               {"args", request.arguments},
               {"shell", request.shell},
               {"env", request.environment},
               {"preserve_env", request.preserve_environment},
               {"cwd", request.cwd.empty() ? "/" : request.cwd},
               {"uid", request.uid},
               {"gid", request.gid},
               {"hostname", request.hostname},
               {"stdin", ToStreamRepresentation(
                             absl::string_view(request.stdin_bytes).substr(0, kMaxRecordedStdin),
                             truncated)},
               {"timeout", absl::ToInt64Seconds(request.timeout)},
               {"truncate_output_at", request.truncate_output_at},
               {"disposable", request.disposable},
               {"files", json::object()},
               {"resources_limits", {{"max_layer_bytes", request.max_layer_bytes}}},
               {"networking", {{"enabled", request.networking}}},
               {"result", nullptr}};
  return echo;
}

absl::StatusOr<InstanceRequest> Parse(const std::string& body, ImageStore& images) {
  const json object = json::parse(body, nullptr, false);
  if (!object.is_object()) return absl::InvalidArgumentError("the body must be a JSON object");
  JsonFields fields(object);
  InstanceRequest request;
  request.command = fields.String("command", "");
  if (request.command.empty()) fields.Fail("command", "is required");
  request.arguments = fields.Strings("args");
  request.shell = fields.Bool("shell", false);
  request.environment = fields.StringMap("env");
  for (const auto& [name, value] : request.environment) {
    if (name.empty() || absl::StrContains(name, '=')) {
      fields.Fail("env", absl::StrCat("has the name \"", name, "\", which no variable can have"));
    }
  }
  request.preserve_environment = fields.Bool("preserve_env", false);
  request.cwd = fields.String("cwd", "");
  if (!request.cwd.empty() && (request.cwd.front() != '/' || request.cwd.size() >= PATH_MAX)) {
    fields.Fail("cwd", "must be an absolute path");
  }
  request.uid = static_cast<uint32_t>(fields.Int("uid", 0, 0, kMaxId));
  request.gid = static_cast<uint32_t>(fields.Int("gid", 0, 0, kMaxId));
  request.hostname = fields.String("hostname", request.hostname);
  if (request.hostname.empty() || request.hostname.size() > HOST_NAME_MAX ||
      absl::StrContains(request.hostname, absl::string_view("\0", 1))) {
    fields.Fail("hostname", absl::StrCat("must have 1 to ", HOST_NAME_MAX, " characters"));
  }
  request.timeout = absl::Seconds(fields.Int("timeout", 60, 1, kMaxTimeoutSeconds));
  request.truncate_output_at = fields.Int("truncate_output_at", 1 << 20, 0, kMaxTruncateAt);
  request.disposable = fields.Bool("disposable", false);
  if (const json* networking = fields.Object("networking"); networking != nullptr) {
    JsonFields inner(*networking);
    request.networking = inner.Bool("enabled", true);
    RETURN_IF_ERROR(inner.status());
  }
  request.max_layer_bytes = kMaxLayerBytes;
  if (const json* limits = fields.Object("resources_limits"); limits != nullptr) {
    JsonFields inner(*limits);
    request.max_layer_bytes = inner.Int("max_layer_bytes", kMaxLayerBytes, 0, kMaxLayerBytes);
    RETURN_IF_ERROR(inner.status());
  }
  const std::string image = fields.String("image", "");
  ASSIGN_OR_RETURN(request.stdin_bytes, Stdin(fields));
  RETURN_IF_ERROR(RefuseFiles(fields));
  RETURN_IF_ERROR(fields.status());
  ASSIGN_OR_RETURN(request.image, images.Resolve(image));
  request.json = Echo(request, image).dump(-1, ' ', false, json::error_handler_t::replace);
  return request;
}

}  // namespace

void PostInstance(ApiCall& call) {
  const absl::StatusOr<std::string> body = call.exchange.ReadBody(kMaxBody);
  if (!body.ok()) return AnswerError(call.exchange, body.status());
  absl::StatusOr<InstanceRequest> request = Parse(*body, call.services.images);
  if (!request.ok()) return AnswerError(call.exchange, request.status());
  json answer = json::parse(request->json);
  const absl::StatusOr<Operation> operation = call.services.operations.Submit(*std::move(request));
  if (!operation.ok()) return AnswerError(call.exchange, operation.status());
  answer["uuid"] = operation->uuid;
  call.exchange.SetHeader("Location", absl::StrCat("/v1/operations/", operation->uuid));
  AnswerJson(call.exchange, 201, answer);
}

}  // namespace contree
