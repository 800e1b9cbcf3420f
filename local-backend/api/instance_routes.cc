// POST /instances.

#include <limits.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"
#include "common/text/json_text.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/json_fields.h"
#include "local-backend/api/process_fields.h"
#include "local-backend/api/routes.h"
#include "local-backend/files/attached_files.h"
#include "local-backend/files/file_store.h"
#include "local-backend/operations/stream_representation.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxBody = 64 * 1024 * 1024;
constexpr size_t kMaxRecordedStdin = 64 * 1024;  // the command gets all of it
constexpr int64_t kMaxId = 65'534;               // 65535 means "none" to the kernel

// "0644", "0o644", "0o100644" or a number, which is taken as it is (420 is 0644).
std::optional<uint32_t> FileMode(const json& value) {
  uint32_t mode = 0;
  if (value.is_number_unsigned()) {
    if (value.get<uint64_t>() > 0xffff) return std::nullopt;
    mode = value.get<uint32_t>();
  } else if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    absl::string_view digits = text;
    if (!absl::ConsumePrefix(&digits, "0o")) absl::ConsumePrefix(&digits, "0O");
    if (digits.empty() || digits.size() > 7) return std::nullopt;
    for (const char c : digits) {
      if (c < '0' || c > '7') return std::nullopt;
      mode = mode * 8 + static_cast<uint32_t>(c - '0');
    }
  } else {
    return std::nullopt;
  }
  return mode & 07777;
}

absl::Status CheckFilePath(const std::string& path) {
  const absl::string_view name = absl::string_view(path).substr(path.rfind('/') + 1);
  if (path.empty() || path.front() != '/' || path.size() >= PATH_MAX || name.empty() ||
      name == "." || name == ".." || name.size() > NAME_MAX ||
      absl::StrContains(path, absl::string_view("\0", 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("files: \"", path, "\" must be the absolute path of a file"));
  }
  return absl::OkStatus();
}

// Reads "files" and finds what it names; `echo` is what the API shows again, as text.
absl::StatusOr<std::vector<AttachedFile>> Files(JsonFields& fields, const std::string& project,
                                                FileStore& store, std::string& echo) {
  echo = "{}";
  const json* files = fields.Object("files");
  if (files == nullptr) return std::vector<AttachedFile>();
  std::vector<AttachedFile> attached;
  std::vector<std::string> uuids;
  attached.reserve(files->size());
  uuids.reserve(files->size());
  for (const auto& [path, file] : files->items()) {
    RETURN_IF_ERROR(CheckFilePath(path));
    if (!file.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat("files: that of ", path, " must be an object"));
    }
    JsonFields inner(file);
    AttachedFile item = {.path = path, .source = "", .content = ""};
    uuids.push_back(inner.String("uuid", ""));
    item.uid = static_cast<uint32_t>(inner.Int("uid", 0, 0, kMaxId));
    item.gid = static_cast<uint32_t>(inner.Int("gid", 0, 0, kMaxId));
    if (const auto mode = file.find("mode"); mode != file.end() && !mode->is_null()) {
      const std::optional<uint32_t> number = FileMode(*mode);
      if (!number.has_value()) {
        inner.Fail("mode", "must be octal digits such as \"0644\", or a number");
      }
      item.mode = number.value_or(0);
    }
    if (!inner.status().ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("files: that of ", path, ": ", inner.status().message()));
    }
    echo.back() = echo.size() == 2 ? ' ' : ',';
    AppendJsonString(path, &echo);
    echo.append(":{\"uuid\":");
    AppendJsonString(uuids.back(), &echo);
    absl::StrAppendFormat(&echo, ",\"mode\":\"%04o\",\"uid\":%u,\"gid\":%u}}", item.mode, item.uid,
                          item.gid);
    attached.push_back(std::move(item));
  }
  ASSIGN_OR_RETURN(const std::vector<StoredFile> stored, store.Use(project, uuids));
  for (size_t i = 0; i < stored.size(); ++i) {
    attached[i].source = store.Path(stored[i].sha256);
    attached[i].content = stored[i].sha256;
  }
  return attached;
}

// The fields of an InstanceSpawnRequest, all defaults filled in.
std::string Echo(const InstanceRequest& request, const std::string& image,
                 const std::string& files) {
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
               {"resources_limits", {{"max_layer_bytes", request.max_layer_bytes}}},
               {"networking", {{"enabled", request.networking}}}};
  if (request.stdin_stays_open) echo["stdin"]["close"] = false;
  return WithMember(ToJsonText(echo), "files", files);
}

absl::StatusOr<InstanceRequest> Parse(const std::string& body, const ApiCall& call) {
  const json object = json::parse(body, nullptr, false);
  if (!object.is_object()) return absl::InvalidArgumentError("the body must be a JSON object");
  JsonFields fields(object);
  InstanceRequest request;
  ReadProcessFields(fields, request);
  request.project = call.project;
  request.preserve_environment = fields.Bool("preserve_env", false);
  request.hostname = fields.String("hostname", request.hostname);
  if (request.hostname.empty() || request.hostname.size() > HOST_NAME_MAX ||
      absl::StrContains(request.hostname, absl::string_view("\0", 1))) {
    fields.Fail("hostname", absl::StrCat("must have 1 to ", HOST_NAME_MAX, " characters"));
  }
  request.timeout = absl::Seconds(fields.Int("timeout", 60, 1, kMaxTimeoutSeconds));
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
  RETURN_IF_ERROR(fields.status());
  ASSIGN_OR_RETURN(request.image, call.services.images.Resolve(image, call.project));
  std::string files;
  ASSIGN_OR_RETURN(request.files, Files(fields, call.project, call.services.files, files));
  RETURN_IF_ERROR(fields.status());
  request.json = Echo(request, image, files);
  return request;
}

}  // namespace

void PostInstance(ApiCall& call) {
  const absl::StatusOr<std::string> body = call.exchange.ReadBody(kMaxBody);
  if (!body.ok()) return AnswerError(call.exchange, body.status());
  absl::StatusOr<InstanceRequest> request = Parse(*body, call);
  if (!request.ok()) return AnswerError(call.exchange, request.status());
  const std::string echo = WithMember(request->json, "result", "null");
  const absl::StatusOr<Operation> operation = call.services.operations.Submit(*std::move(request));
  if (absl::IsResourceExhausted(operation.status())) {
    return AnswerLater(call.exchange, 429, operation.status().message());
  }
  if (!operation.ok()) return AnswerError(call.exchange, operation.status());
  call.exchange.SetHeader(
      "Location", absl::StrCat(call.services.base_path, "/v1/operations/", operation->uuid));
  AnswerJsonText(call.exchange, 201,
                 WithMember(echo, "uuid", absl::StrCat("\"", operation->uuid, "\"")));
}

}  // namespace contree
