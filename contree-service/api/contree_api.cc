#include "contree-service/api/contree_api.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/http/retry_after.h"
#include "common/secret/secret_string.h"
#include "common/status/status_macros.h"
#include "common/uuid/uuid.h"
#include "contree-service/api/image_json.h"
#include "contree-service/api/json_fields.h"
#include "contree-service/api/proto_time.h"

namespace contree {
namespace {

using json_fields::Json;

std::string ImageName(absl::string_view uuid) { return absl::StrCat("image ", uuid); }
std::string OperationName(absl::string_view id) { return absl::StrCat("operation ", id); }

// "?a=b&c=d" of what is not empty.
class QueryString {
 public:
  QueryString& Add(absl::string_view name, absl::string_view value) {
    if (!value.empty())
      absl::StrAppend(&text_, text_.empty() ? "?" : "&", name, "=", PercentEncode(value));
    return *this;
  }
  QueryString& Add(absl::string_view name, int64_t value) {
    return value == 0 ? *this : Add(name, absl::StrCat(value));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Some lists come bare, some in an object.
const Json& ListOf(const Json& json, const char* name) {
  return json.is_array() ? json : json_fields::Member(json, name);
}

absl::StatusOr<std::string> OperationIdOf(const HttpResponse& response, const std::string& what) {
  // The last segment of ".../v1/operations/ID". The body may repeat tens of thousands of files.
  const std::string location = response.Header("Location").value_or("");
  std::string id = location.substr(location.rfind('/') + 1);
  if (!IsUuid(id)) {
    const auto json = json_fields::ParseOperation(response.body, what);
    id = json.ok() ? json_fields::String(*json, "uuid") : "";
  }
  if (!IsUuid(id)) {
    return absl::UnknownError(absl::StrCat(what,
                                           ": the platform accepted it but named no operation; "
                                           "look for it in the list of operations"));
  }
  return id;
}

}  // namespace

ContreeApi::ContreeApi(std::shared_ptr<HttpClient> http, ApiEndpoint endpoint, Clock* clock,
                       const RetryPolicy& retry)
    : transport_(
          std::make_shared<ApiTransport>(std::move(http), std::move(endpoint), clock, retry)) {}

const std::string& ContreeApi::platform() const {
  const ApiEndpoint& endpoint = transport_->endpoint();
  return endpoint.platform.empty() ? endpoint.base_url : endpoint.platform;
}

absl::StatusOr<std::vector<v1::Image>> ContreeApi::ListImages(const v1::ListImagesRequest& query,
                                                              const CallContext& context) const {
  QueryString parameters;
  parameters.Add("limit", query.limit())
      .Add("offset", query.offset())
      .Add("tagged", query.tagged() ? 1 : 0)
      .Add("tag", query.tag_prefix())
      .Add("since", query.since())
      .Add("until", query.until());
  const ApiRequest request = {.what = "the list of images",
                              .target = absl::StrCat("/v1/images", parameters.text())};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, request.what));
  std::vector<v1::Image> images;
  for (const Json& image : ListOf(json, "images")) images.push_back(ImageFromJson(image));
  return images;
}

absl::StatusOr<v1::Image> ContreeApi::GetImage(absl::string_view uuid,
                                               const CallContext& context) const {
  const ApiRequest request = {.what = ImageName(uuid),
                              .target = absl::StrCat("/v1/inspect/", PercentEncode(uuid), "/")};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, request.what));
  return ImageFromJson(json);
}

absl::StatusOr<std::string> ContreeApi::ResolveTag(absl::string_view tag,
                                                   const CallContext& context) const {
  const ApiRequest request = {.what = absl::StrCat("tag ", tag),
                              .target = absl::StrCat("/v1/inspect/?tag=", PercentEncode(tag)),
                              .redirect_is_answer = true};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  std::string uuid;
  if (response.status < 300) {
    if (const auto json = json_fields::Parse(response.body, request.what); json.ok()) {
      uuid = json_fields::String(*json, "uuid");
    }
  } else {
    // Where the redirect points says which image it is; it is not followed.
    std::string location = response.Header("Location").value_or("");
    location = location.substr(0, location.find('?'));
    const absl::string_view path = absl::StripSuffix(location, "/");
    uuid = std::string(path.substr(path.rfind('/') + 1));
  }
  if (!IsUuid(uuid))
    return absl::UnavailableError(
        absl::StrCat(request.what, ": the platform's answer names no image"));
  return uuid;
}

absl::StatusOr<v1::Image> ContreeApi::SetTag(absl::string_view uuid, absl::string_view tag,
                                             const CallContext& context) const {
  const ApiRequest request = {.what = absl::StrCat("tagging image ", uuid, " as ", tag),
                              .method = "PATCH",
                              .target = absl::StrCat("/v1/images/", PercentEncode(uuid), "/tag"),
                              .json_body = json_fields::Dump(Json{{"tag", std::string(tag)}})};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  const auto json = json_fields::Parse(response.body, request.what);
  if (!json.ok() || json_fields::String(*json, "uuid").empty()) return GetImage(uuid, context);
  return ImageFromJson(*json);
}

absl::Status ContreeApi::RemoveTag(absl::string_view uuid, absl::string_view tag,
                                   const CallContext& context) const {
  const ApiRequest request = {.what = absl::StrCat("removing the tag of image ", uuid),
                              .method = "DELETE",
                              .target = absl::StrCat("/v1/images/", PercentEncode(uuid), "/tag",
                                                     QueryString().Add("tag", tag).text())};
  return transport_->Call(request, context).status();
}

absl::StatusOr<std::string> ContreeApi::StartInstance(const v1::RunInstanceRequest& request,
                                                      absl::string_view image,
                                                      const CallContext& context) const {
  const ApiRequest sent = {.what = absl::StrCat("starting a command on image ", image),
                           .method = "POST",
                           .target = "/v1/instances",
                           .json_body = InstanceBody(request, image)};
  const absl::StatusOr<HttpResponse> response = transport_->Call(sent, context);
  if (absl::IsNotFound(response.status())) {
    return absl::NotFoundError(
        absl::StrCat(response.status().message(),
                     " (list_images shows the images, upload gives the uuid of a file)"));
  }
  RETURN_IF_ERROR(response.status());
  return OperationIdOf(*response, sent.what);
}

absl::StatusOr<std::string> ContreeApi::StartImport(const v1::ImportImageRequest& request,
                                                    const CallContext& context) const {
  // The realm is an addition that only our own backend knows.
  ApiRequest sent = {
      .what = absl::StrCat("importing ", request.registry_url()),
      .method = "POST",
      .target = "/v1/images/import",
      .json_body = ImportBody(request, /*with_realm=*/platform() == kEmbeddedPlatform)};
  const absl::StatusOr<HttpResponse> response = transport_->Call(sent, context);
  Wipe(sent.json_body);  // it may hold a password
  RETURN_IF_ERROR(response.status());
  return OperationIdOf(*response, sent.what);
}

absl::StatusOr<OperationSnapshot> ContreeApi::GetOperation(absl::string_view id,
                                                           const CallContext& context,
                                                           bool inflight) const {
  const ApiRequest request = {
      .what = OperationName(id),
      .target = absl::StrCat("/v1/operations/", PercentEncode(id), inflight ? "?inflight=1" : "")};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::ParseOperation(response.body, request.what));
  OperationSnapshot snapshot = {.operation = OperationFromJson(json), .poll_after = std::nullopt};
  // A record without an id is not one of ours to mix up with another.
  snapshot.operation.set_id(std::string(id));
  if (const auto after = response.Header("Retry-After"); after.has_value()) {
    snapshot.poll_after = ParseRetryAfter(*after, transport_->clock().Now());
  }
  return snapshot;
}

absl::StatusOr<std::vector<v1::Operation>> ContreeApi::ListOperations(
    const v1::ListOperationsRequest& query, const CallContext& context) const {
  QueryString parameters;
  parameters.Add("limit", query.limit())
      .Add("offset", query.offset())
      .Add("status", StateName(query.state()))
      .Add("kind", KindName(query.kind()))
      .Add("since", query.since())
      .Add("until", query.until());
  const ApiRequest request = {.what = "the list of operations",
                              .target = absl::StrCat("/v1/operations", parameters.text())};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, request.what));
  std::vector<v1::Operation> operations;
  for (const Json& operation : ListOf(json, "operations"))
    operations.push_back(OperationFromJson(operation));
  return operations;
}

absl::Status ContreeApi::CancelOperation(absl::string_view id, const CallContext& context) const {
  const ApiRequest request = {.what = OperationName(id),
                              .method = "DELETE",
                              .target = absl::StrCat("/v1/operations/", PercentEncode(id))};
  return transport_->Call(request, context).status();
}

absl::StatusOr<v1::GetIdentityResponse> ContreeApi::WhoAmI(const CallContext& context) const {
  const ApiRequest request = {.what = "the token's identity", .target = "/v1/whoami"};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, request.what));
  v1::GetIdentityResponse identity;
  identity.set_token_uuid(json_fields::String(json, "token_uuid"));
  if (const int64_t expires = json_fields::Int(json, "token_expiration", -1); expires >= 0) {
    SetTime(absl::FromUnixSeconds(expires), identity.mutable_token_expiration());
  }
  for (const auto& [name, allowed] : json_fields::Member(json, "permissions").items()) {
    if (allowed.is_boolean()) (*identity.mutable_permissions())[name] = allowed.get<bool>();
  }
  for (const auto& [name, limit] : json_fields::Member(json, "limits").items()) {
    if (limit.is_number_integer()) (*identity.mutable_limits())[name] = limit.get<int64_t>();
  }
  for (const auto& [name, count] : json_fields::Member(json, "operations_stat").items()) {
    if (count.is_number_integer()) (*identity.mutable_operations())[name] = count.get<int64_t>();
  }
  identity.set_api_url(base_url());
  return identity;
}

}  // namespace contree
