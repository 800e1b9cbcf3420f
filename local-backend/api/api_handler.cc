#include "local-backend/api/api_handler.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/routes.h"

namespace contree {
namespace {

struct Route {
  const char* method;
  const char* path;  // below /v1; "*" is a variable segment
  void (*answer)(ApiCall&);
};

// HEAD is answered as GET; the server drops the body.
constexpr Route kRoutes[] = {
    {"GET", "/whoami", GetWhoami},
    {"GET", "/images", ListImages},
    {"POST", "/images/import", PostImageImport},
    {"PATCH", "/images/*/tag", PatchImageTag},
    {"DELETE", "/images/*/tag", DeleteImageTag},
    {"POST", "/files", PostFile},
    {"GET", "/files", ListFiles},
    {"GET", "/files/*", GetFile},
    {"POST", "/instances", PostInstance},
    {"GET", "/operations", ListOperations},
    {"GET", "/operations/*", GetOperation},
    {"DELETE", "/operations/*", DeleteOperation},
    {"GET", "/operations/*/events", GetOperationEvents},
    {"POST", "/operations/*/subprocesses", PostProcess},
    {"GET", "/operations/*/subprocesses", ListProcesses},
    {"GET", "/operations/*/subprocesses/*", GetProcess},
    {"DELETE", "/operations/*/subprocesses/*", DeleteProcess},
    {"POST", "/operations/*/subprocesses/*/stdin", PostProcessStdin},
    {"GET", "/inspect", InspectTag},
    {"GET", "/inspect/*", InspectImage},
    {"GET", "/inspect/*/list", InspectList},
    {"GET", "/inspect/*/download", InspectDownload},
    {"GET", "/inspect/*/archive", InspectArchive},
    {"GET", "/inspect/*/grep", InspectGrep},
};

// Whether `path` has the form `pattern`; the segments at the stars become the call's ids.
bool Matches(absl::string_view pattern, absl::string_view path, ApiCall& call) {
  const std::vector<absl::string_view> wanted = absl::StrSplit(pattern, '/');
  const std::vector<absl::string_view> given = absl::StrSplit(path, '/');
  if (wanted.size() != given.size()) return false;
  std::string* id = &call.id;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "*" && !given[i].empty()) {
      *id = std::string(given[i]);
      id = &call.sub_id;
    } else if (wanted[i] != given[i]) {
      return false;
    }
  }
  return true;
}

// Takes as long whatever the difference is.
bool SameSecret(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

// Who calls. Unauthenticated, PermissionDenied: nobody who may.
absl::StatusOr<ProjectKeys::Access> Authenticate(const HttpExchange& exchange,
                                                 const ApiServices& services) {
  constexpr absl::string_view kBearer = "Bearer ";
  const std::string header = exchange.Header("Authorization").value_or("");
  const absl::Status refused =
      absl::UnauthenticatedError("a valid Authorization: Bearer token is required");
  if (!absl::StartsWithIgnoreCase(header, kBearer) || header.size() == kBearer.size()) {
    return refused;
  }
  const absl::string_view token = absl::string_view(header).substr(kBearer.size());
  if (services.keys != nullptr) {
    return services.keys->Find(token, exchange.Header("Project").value_or(""));
  }
  if (!services.token.empty() && !SameSecret(token, services.token)) return refused;
  return ProjectKeys::Access{services.token_uuid, ""};  // whatever Project says: there is one
}

void Dispatch(HttpExchange& exchange, ApiServices& services) {
  absl::string_view path = exchange.path();
  if (!absl::ConsumePrefix(&path, services.base_path) || !absl::StartsWith(path, "/v1/")) {
    return AnswerError(exchange, 404,
                       absl::StrCat("there is no ", exchange.path(), " here: the API begins with ",
                                    services.base_path, "/v1/"));
  }
  const absl::StatusOr<ProjectKeys::Access> caller = Authenticate(exchange, services);
  if (absl::IsPermissionDenied(caller.status())) {
    return AnswerError(exchange, 403, caller.status().message());
  }
  if (!caller.ok()) {
    exchange.SetHeader("WWW-Authenticate", "Bearer");
    return AnswerError(exchange, 401, caller.status().message());
  }
  path.remove_prefix(3);
  const bool trailing_slash = absl::EndsWith(path, "/");
  if (trailing_slash) path.remove_suffix(1);
  const std::string method = exchange.method() == "HEAD" ? "GET" : exchange.method();
  ApiCall call = {.exchange = exchange,
                  .services = services,
                  .project = caller->project,
                  .token_uuid = caller->token_uuid,
                  .id = "",
                  .sub_id = "",
                  .trailing_slash = trailing_slash};
  bool other_method = false;
  for (const Route& route : kRoutes) {
    if (!Matches(route.path, path, call)) continue;
    if (route.method == method) return route.answer(call);
    other_method = true;
  }
  AnswerError(exchange, other_method ? 405 : 404,
              absl::StrCat(other_method ? "this route does not take " : "there is no route ",
                           exchange.method(), other_method ? "" : " ",
                           other_method ? "" : exchange.path()));
}

}  // namespace

HttpHandler MakeApiHandler(ApiServices services) {
  auto shared = std::make_shared<ApiServices>(std::move(services));
  return [shared](HttpExchange& exchange) { Dispatch(exchange, *shared); };
}

void GetWhoami(ApiCall& call) {
  nlohmann::json permissions;
  for (const char* name :
       {"import", "spawn", "spawn_disposable", "list", "cancel", "set_image_tag"}) {
    permissions[name] = true;
  }
  const Operations& operations = call.services.operations;
  nlohmann::json limits = {{"instance_max_timeout", 3600},
                           {"instance_max_concurrency", call.services.max_concurrent},
                           {"images_import_max_timeout", 3600},
                           {"images_import_max_concurrency", call.services.max_concurrent_imports},
                           {"instance_max_layer_bytes", kMaxLayerBytes}};
  // Beside those of the vendor's: what is in force here. A bound that does not exist has no entry.
  const RunLimits& run = call.services.limits;
  if (run.memory_bytes > 0) limits["instance_max_memory_bytes"] = run.memory_bytes;
  if (run.processes > 0) limits["instance_max_processes"] = run.processes;
  if (call.services.disk_quota > 0) limits["disk_quota_bytes"] = call.services.disk_quota;
  AnswerJson(call.exchange, 200,
             {{"token_uuid", call.token_uuid},
              {"token_expiration", nullptr},
              {"permissions", permissions},
              {"operations_stat",
               {{"running_instances", operations.running(call.project, kInstanceKind)},
                {"running_imports", operations.running(call.project, kImportKind)}}},
              {"limits", limits},
              {"isolation", call.services.isolation}});
}

}  // namespace contree
