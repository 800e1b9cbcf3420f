// GET /images, PATCH and DELETE /images/{uuid}/tag.

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/parameters.h"
#include "local-backend/api/routes.h"

namespace contree {
namespace {

constexpr size_t kMaxTagBody = 64 * 1024;

absl::StatusOr<ImageFilter> Filter(const ApiCall& call) {
  const HttpExchange& exchange = call.exchange;
  ImageFilter filter;
  filter.project = call.project;
  ASSIGN_OR_RETURN(const Page page, PageParameters(exchange));
  filter.limit = page.limit;
  filter.offset = page.offset;
  ASSIGN_OR_RETURN(filter.tagged, FlagParameter(exchange, "tagged"));
  filter.tag_prefix = exchange.Query("tag").value_or("");
  if (!filter.tag_prefix.empty() && !IsTagPrefix(filter.tag_prefix)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", filter.tag_prefix, "\" is not the beginning of a tag"));
  }
  filter.uuid_prefix = exchange.Query("uuid").value_or("");
  ASSIGN_OR_RETURN(filter.since, TimeParameter(exchange, "since", filter.since));
  ASSIGN_OR_RETURN(filter.until, TimeParameter(exchange, "until", filter.until));
  return filter;
}

absl::StatusOr<std::string> TagOfBody(HttpExchange& exchange) {
  ASSIGN_OR_RETURN(const std::string body, exchange.ReadBody(kMaxTagBody));
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("tag") || !json["tag"].is_string()) {
    return absl::InvalidArgumentError(
        "the body must be a JSON object with a tag, {\"tag\": \"NAME\"}");
  }
  return json["tag"].get<std::string>();
}

}  // namespace

void ListImages(ApiCall& call) {
  const absl::StatusOr<ImageFilter> filter = Filter(call);
  if (!filter.ok()) return AnswerError(call.exchange, filter.status());
  const absl::StatusOr<std::vector<Image>> images = call.services.images.List(*filter);
  if (!images.ok()) return AnswerError(call.exchange, images.status());
  nlohmann::json list = nlohmann::json::array();
  for (const Image& image : *images) list.push_back(ToJson(image));
  AnswerJson(call.exchange, 200, {{"images", list}});
}

void PatchImageTag(ApiCall& call) {
  const absl::StatusOr<std::string> tag = TagOfBody(call.exchange);
  if (!tag.ok()) return AnswerError(call.exchange, tag.status());
  const absl::StatusOr<Image> image = call.services.images.SetTag(call.id, *tag, call.project);
  if (!image.ok()) return AnswerError(call.exchange, image.status());
  AnswerJson(call.exchange, 200, ToJson(*image));
}

void DeleteImageTag(ApiCall& call) {
  const absl::Status removed = call.services.images.RemoveTag(
      call.id, call.exchange.Query("tag").value_or(""), call.project);
  if (!removed.ok()) return AnswerError(call.exchange, removed);
  call.exchange.Respond(204);
}

}  // namespace contree
