// GET /operations, GET and DELETE /operations/{id}, GET /operations/{id}/events.

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "common/text/json_text.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/event_streamer.h"
#include "local-backend/api/parameters.h"
#include "local-backend/api/routes.h"
#include "local-backend/operations/process_report.h"

namespace contree {
namespace {

constexpr int kMaxFollowers = 10'000;  // each has a descriptor

nlohmann::json OrNull(const std::string& text) {
  return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

nlohmann::json Summary(const Operation& operation) {
  return {{"uuid", operation.uuid},
          {"kind", operation.kind},
          {"status", operation.status},
          {"error", OrNull(operation.error)},
          {"created_at", FormatApiTime(operation.created_at)},
          {"duration", absl::ToDoubleSeconds(operation.duration)},
          {"image_size", operation.image_size},
          {"consumed_cpu", absl::ToDoubleSeconds(operation.cpu_time)},
          {"consumed_memory", operation.max_rss_kilobytes},
          {"image_uuid", OrNull(operation.image_uuid)},
          {"result_image_uuid", OrNull(operation.result_image_uuid)}};
}

// What we stored is JSON; a damaged row must not take the answer down.
nlohmann::json Parsed(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  return json.is_object() ? json : nlohmann::json(nullptr);
}

nlohmann::json ResultSoFar(const ApiCall& call) {
  const auto log = call.services.operations.Events(call.project, call.id);
  if (!log.ok()) return nullptr;
  return ProcessResult((*log)->Read(0, absl::ZeroDuration()).events,
                       static_cast<int>(kMainProcess));
}

absl::StatusOr<OperationFilter> Filter(const ApiCall& call) {
  const HttpExchange& exchange = call.exchange;
  OperationFilter filter = {.project = call.project};
  ASSIGN_OR_RETURN(const Page page, PageParameters(exchange));
  filter.limit = page.limit;
  filter.offset = page.offset;
  filter.status = exchange.Query("status").value_or("");
  bool known = filter.status.empty();
  for (const char* status : {kPending, kAssigned, kExecuting, kSuccess, kFailed, kCancelled}) {
    known |= filter.status == status;
  }
  if (!known) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", filter.status,
        "\" is not a status: PENDING, ASSIGNED, EXECUTING, SUCCESS, FAILED or CANCELLED"));
  }
  filter.kind = exchange.Query("kind").value_or("");
  if (!filter.kind.empty() && filter.kind != kInstanceKind && filter.kind != kImportKind) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", filter.kind, "\" is not a kind: instance or image_import"));
  }
  ASSIGN_OR_RETURN(filter.since, TimeParameter(exchange, "since", filter.since));
  ASSIGN_OR_RETURN(filter.until, TimeParameter(exchange, "until", filter.until));
  return filter;
}

absl::StatusOr<EventSubscription> ParseSubscription(ApiCall& call) {
  EventSubscription request;
  ASSIGN_OR_RETURN(request.follow, FlagParameter(call.exchange, "follow"));
  const std::optional<std::string> spid = call.exchange.Query("spid");
  if (spid.has_value() && (!absl::SimpleAtoi(*spid, &request.spid) || request.spid < 0)) {
    return absl::InvalidArgumentError("spid must be a number from 0");
  }
  std::optional<std::string> last = call.exchange.Header("Last-Event-Id");
  if (!last.has_value()) last = call.exchange.Query("since");
  int64_t seen = -1;
  if (last.has_value() && (!absl::SimpleAtoi(*last, &seen) || seen < -1)) {
    return absl::InvalidArgumentError("since and Last-Event-Id must be the id of an event, or -1");
  }
  request.next = seen + 1;
  ASSIGN_OR_RETURN(request.log, call.services.operations.Events(call.project, call.id));
  return request;
}

}  // namespace

void ListOperations(ApiCall& call) {
  const absl::StatusOr<OperationFilter> filter = Filter(call);
  if (!filter.ok()) return AnswerError(call.exchange, filter.status());
  const absl::StatusOr<std::vector<Operation>> operations = call.services.operations.List(*filter);
  if (!operations.ok()) return AnswerError(call.exchange, operations.status());
  nlohmann::json list = nlohmann::json::array();
  for (const Operation& operation : *operations) list.push_back(Summary(operation));
  AnswerJson(call.exchange, 200, list);
}

void GetOperation(ApiCall& call) {
  const absl::StatusOr<bool> inflight = FlagParameter(call.exchange, "inflight");
  if (!inflight.ok()) return AnswerError(call.exchange, inflight.status());
  const absl::StatusOr<Operation> operation = call.services.operations.Get(call.project, call.id);
  if (!operation.ok()) return AnswerError(call.exchange, operation.status());
  nlohmann::json answer = Summary(*operation);
  nlohmann::json tag = nullptr;  // that an import put on its result
  if (operation->status == kSuccess && operation->kind == kImportKind)
    tag = Parsed(operation->request).value("tag", tag);
  answer["result"] = {{"image", OrNull(operation->result_image_uuid)}, {"tag", tag}};
  std::string result = operation->result.empty() ? "null" : operation->result;
  if (*inflight && operation->status == kExecuting && operation->kind == kInstanceKind)
    result = ResultSoFar(call).dump();
  if (!operation->IsTerminal()) call.exchange.SetHeader("Retry-After", "1");
  AnswerJsonText(
      call.exchange, 200,
      WithMember(ToJsonText(answer), "metadata", WithMember(operation->request, "result", result)));
}

void DeleteOperation(ApiCall& call) {
  const absl::Status cancelled = call.services.operations.Cancel(call.project, call.id);
  if (!cancelled.ok()) return AnswerError(call.exchange, cancelled);
  call.exchange.Respond(202);
}

void GetOperationEvents(ApiCall& call) {
  absl::StatusOr<EventSubscription> request = ParseSubscription(call);
  if (!request.ok()) return AnswerError(call.exchange, request.status());
  if (call.services.streamer.open() >= kMaxFollowers) {
    return AnswerLater(call.exchange, 503, "too many clients follow events; try again soon");
  }
  call.exchange.SetHeader("Cache-Control", "no-cache");
  call.exchange.RespondDetached(200, "text/event-stream",
                                [&streamer = call.services.streamer, request = *std::move(request)](
                                    std::unique_ptr<HttpDetachedStream> stream) mutable {
                                  streamer.Add(std::move(request), std::move(stream));
                                });
}

}  // namespace contree
