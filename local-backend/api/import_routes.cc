// POST /images/import.

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/secret/secret_string.h"
#include "common/status/status_macros.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/json_fields.h"
#include "local-backend/api/routes.h"
#include "local-backend/importer/image_importer.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxBody = 1024 * 1024;
constexpr int64_t kDefaultTimeoutSeconds = 300;
constexpr int64_t kMaxTimeoutSeconds = 3600;
constexpr char kMasked[] = "<MASKED>";

// The two forms of the body: {"registry": {"url", "credentials"}} and, from older clients,
// {"registry": "URL", "credentials"}.
struct Source {
  std::string url;
  json credentials = nullptr;  // an object, or null
};

absl::StatusOr<Source> SourceOf(const json& body) {
  const auto registry = body.find("registry");
  if (registry == body.end() || (!registry->is_object() && !registry->is_string())) {
    return absl::InvalidArgumentError(
        "registry is required: {\"url\": \"docker://REGISTRY/NAME:TAG\"}");
  }
  Source source;
  if (registry->is_string()) {
    source.url = registry->get<std::string>();
  } else {
    JsonFields fields(*registry);
    source.url = fields.String("url", "");
    RETURN_IF_ERROR(fields.status());
  }
  JsonFields fields(registry->is_string() ? body : *registry);
  if (const json* credentials = fields.Object("credentials"); credentials != nullptr) {
    source.credentials = *credentials;
  }
  RETURN_IF_ERROR(fields.status());
  return source;
}

absl::StatusOr<RegistryCredentials> CredentialsOf(const json& object) {
  RegistryCredentials credentials;
  if (object.is_null()) return credentials;
  JsonFields fields(object);
  credentials.username = fields.String("username", "");
  credentials.secret = SecretString(fields.String("password", ""));
  // An addition of this backend's: the token server that the credentials were stored for.
  credentials.realm = fields.String("realm", "");
  RETURN_IF_ERROR(fields.status());
  return credentials;
}

struct ParsedImport {
  ImportRequest request;
  std::string shown;  // JSON, as the API shows it again
};

absl::StatusOr<ParsedImport> Parse(const json& body) {
  if (!body.is_object()) return absl::InvalidArgumentError("the body must be a JSON object");
  ParsedImport parsed;
  ASSIGN_OR_RETURN(Source source, SourceOf(body));
  ASSIGN_OR_RETURN(parsed.request.reference, ParseImageReference(source.url));
  ASSIGN_OR_RETURN(parsed.request.credentials, CredentialsOf(source.credentials));
  JsonFields fields(body);
  parsed.request.tag = fields.String("tag", "");
  const int64_t timeout = fields.Int("timeout", kDefaultTimeoutSeconds, 1, kMaxTimeoutSeconds);
  RETURN_IF_ERROR(fields.status());
  if (!parsed.request.tag.empty() && !IsTag(parsed.request.tag)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", parsed.request.tag, "\" is not the form of a tag"));
  }
  parsed.request.timeout = absl::Seconds(timeout);
  json registry = {{"url", source.url}};
  if (!parsed.request.credentials.IsAnonymous()) {
    registry["credentials"] = {{"username", parsed.request.credentials.username},
                               {"password", kMasked}};
  }
  const json shown = {
      {"registry", registry},
      {"tag", parsed.request.tag.empty() ? json(nullptr) : json(parsed.request.tag)},
      {"timeout", timeout}};
  parsed.shown = shown.dump(-1, ' ', false, json::error_handler_t::replace);
  return parsed;
}

// Overwrites what the parser holds of the password.
void WipePasswords(json& value) {
  if (!value.is_structured()) return;
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (value.is_object() && it.key() == "password" && it->is_string()) {
      Wipe(it->get_ref<std::string&>());
    } else {
      WipePasswords(*it);
    }
  }
}

}  // namespace

void PostImageImport(ApiCall& call) {
  absl::StatusOr<std::string> body = call.exchange.ReadBody(kMaxBody);
  if (!body.ok()) return AnswerError(call.exchange, body.status());
  json object = json::parse(*body, nullptr, false);
  Wipe(*body);
  absl::StatusOr<ParsedImport> parsed = Parse(object);
  WipePasswords(object);
  if (!parsed.ok()) return AnswerError(call.exchange, parsed.status());
  const absl::StatusOr<Operation> operation = call.services.operations.Submit(JobRequest{
      .project = call.project,
      .kind = kImportKind,
      .json = std::move(parsed->shown),
      .run = [request = std::move(parsed->request), &importer = call.services.importer](
                 EventLog& log, const CancelEvent& cancel,
                 Operation& ended) mutable -> absl::Status {
        request.operation_uuid = ended.uuid;
        request.project = ended.project;
        const auto report = [&log](const std::string& line) {
          log.Append(1, "stdout", {{"value", absl::StrCat(line, "\n")}, {"encoding", "ascii"}});
        };
        ASSIGN_OR_RETURN(const ImportResult result, importer.Import(request, cancel, report));
        ended.result_image_uuid = result.image_uuid;
        ended.image_size = result.unpacked_bytes;
        return absl::OkStatus();
      }});
  if (absl::IsResourceExhausted(operation.status())) {
    return AnswerLater(call.exchange, 429, operation.status().message());
  }
  if (!operation.ok()) return AnswerError(call.exchange, operation.status());
  call.exchange.SetHeader(
      "Location", absl::StrCat(call.services.base_path, "/v1/operations/", operation->uuid));
  AnswerJson(call.exchange, 201, {{"uuid", operation->uuid}});
}

}  // namespace contree
