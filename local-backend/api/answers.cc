#include "local-backend/api/answers.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/telemetry/logging.h"
#include "common/text/json_text.h"
#include "local-backend/operations/event_log.h"

namespace contree {
namespace {

constexpr size_t kMaxWholeBody = 64 * 1024;
constexpr char kJson[] = "application/json";

}  // namespace

void AnswerJson(HttpExchange& exchange, int status, const nlohmann::json& body) {
  AnswerJsonText(exchange, status, ToJsonText(body));
}

void AnswerJsonText(HttpExchange& exchange, int status, std::string text) {
  if (text.size() <= kMaxWholeBody) return exchange.Respond(status, kJson, std::move(text));
  exchange.RespondStream(status, kJson, [text = std::move(text)](HttpResponseStream& stream) {
    for (size_t at = 0; at < text.size(); at += kMaxWholeBody) {
      if (!stream.Write(absl::string_view(text).substr(at, kMaxWholeBody))) return;
    }
  });
}

std::string WithMember(absl::string_view object, absl::string_view name, absl::string_view value) {
  object.remove_suffix(1);  // the brace
  return absl::StrCat(object, object.size() == 1 ? "" : ",", "\"", name, "\":", value, "}");
}

void AnswerError(HttpExchange& exchange, int status, absl::string_view message) {
  AnswerJson(exchange, status, {{"error", std::string(message)}, {"status", status}});
}

void AnswerError(HttpExchange& exchange, const absl::Status& error, int precondition_status) {
  switch (error.code()) {
    case absl::StatusCode::kInvalidArgument:
      return AnswerError(exchange, 400, error.message());
    case absl::StatusCode::kNotFound:
      return AnswerError(exchange, 404, error.message());
    case absl::StatusCode::kFailedPrecondition:
      return AnswerError(exchange, precondition_status, error.message());
    case absl::StatusCode::kResourceExhausted:
      return AnswerError(exchange, 413, error.message());
    case absl::StatusCode::kAborted:
      return AnswerError(exchange, 400, error.message());
    case absl::StatusCode::kUnavailable:
      return AnswerLater(exchange, 503, error.message());
    default:
      LogError("a request failed", {{"method", exchange.method()}, {"error", error.ToString()}});
      return AnswerError(exchange, 500, error.message());
  }
}

void AnswerLater(HttpExchange& exchange, int status, absl::string_view message) {
  exchange.SetHeader("Retry-After", "1");
  AnswerError(exchange, status, message);
}

nlohmann::json ToJson(const Image& image) {
  nlohmann::json json = {{"uuid", image.uuid},
                         {"tag", nullptr},
                         {"created_at", FormatApiTime(image.created_at)},
                         {"operation_uuid", nullptr}};
  if (!image.tag.empty()) json["tag"] = image.tag;
  if (!image.operation_uuid.empty()) json["operation_uuid"] = image.operation_uuid;
  return json;
}

}  // namespace contree
