#include "contree-service/api/api_transport.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/http/retry_after.h"
#include "common/status/status_macros.h"
#include "common/telemetry/metrics.h"
#include "common/uuid/uuid.h"
#include "contree-service/api/json_fields.h"

namespace contree {
namespace {

// Larger than any list of a thousand entries, or an operation's two 10 MiB streams in base64.
constexpr size_t kMaxAnswerBytes = 64 << 20;
// An error's body beyond this says nothing more.
constexpr size_t kMaxErrorBodyBytes = 64 << 10;
constexpr size_t kMaxErrorTextBytes = 1000;
// No answer takes longer to begin or to go on, whatever the caller's patience.
constexpr absl::Duration kMaxSilence = absl::Seconds(60);

bool IsReplayable(absl::string_view method) {
  return method == "GET" || method == "HEAD" || method == "DELETE";
}

// The trace of a request whose client has none: the platform's log lines can be found by its id.
std::string TraceParent(absl::string_view request_id) {
  absl::BitGen random;
  return absl::StrFormat("00-%s-%016x-01", absl::StrReplaceAll(request_id, {{"-", ""}}),
                         absl::Uniform<uint64_t>(random, 1, std::numeric_limits<uint64_t>::max()));
}

CounterMetric& UpstreamRequests() {
  static auto& metric =
      *new CounterMetric("contree_upstream_requests_total",
                         "Requests to the ConTree API, by what it answered; none: nothing.",
                         {"method", "route", "code"});
  return metric;
}

GaugeMetric& UpstreamUp() {
  static auto& metric = []() -> GaugeMetric& {
    auto& made = *new GaugeMetric(
        "contree_upstream_up",
        "1: the ConTree API answered the last request without an error of its own, or was not "
        "asked yet.");
    made.Set({}, 1);
    return made;
  }();
  return metric;
}

// The path with ":id" for what names one of many.
std::string RouteOf(absl::string_view target) {
  constexpr size_t kShortestId = 16;
  std::string route;
  for (const absl::string_view segment :
       absl::StrSplit(target.substr(0, target.find('?')), '/', absl::SkipEmpty())) {
    absl::StrAppend(&route, "/", segment.size() < kShortestId ? segment : ":id");
  }
  return route;
}

}  // namespace

absl::StatusCode CodeOfHttpStatus(int status) {
  if (status >= 200 && status < 300) return absl::StatusCode::kOk;
  switch (status) {
    case 400:
    case 413:
    case 414:
    case 415:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 402:
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 405:
    case 406:
    case 501:
      return absl::StatusCode::kUnimplemented;
    case 408:
    case 410:
    case 425:
      return absl::StatusCode::kUnavailable;
    default:
      return status >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kFailedPrecondition;
  }
}

bool IsTransientHttpStatus(int status) {
  return status == 425 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

ApiTransport::ApiTransport(std::shared_ptr<HttpClient> http, ApiEndpoint endpoint, Clock* clock,
                           const RetryPolicy& retry)
    : http_(std::move(http)), endpoint_(std::move(endpoint)), clock_(clock), retry_(retry) {
  UpstreamUp();  // tells of itself from the start
}

absl::Status ApiTransport::ErrorOf(const ApiRequest& request, const HttpResponse& response) const {
  if (response.status >= 300 && response.status < 400) {
    return absl::FailedPreconditionError(absl::StrCat(
        request.what, ": the platform redirects elsewhere (", response.status,
        "), which is not followed because credentials would travel along; check the base URL"));
  }
  std::string text;
  if (const auto json = json_fields::Parse(response.body, request.what); json.ok()) {
    const json_fields::Json& error = json_fields::Member(*json, "error");
    if (error.is_string()) {
      text = error.get<std::string>();
    } else if (!error.is_null()) {
      text = json_fields::Dump(error);
    }
  }
  if (text.size() > kMaxErrorTextBytes) text.resize(kMaxErrorTextBytes);
  // A platform that echoes what it was sent must not bring the token into a log.
  if (!endpoint_.token.empty()) text = absl::StrReplaceAll(text, {{endpoint_.token, "[token]"}});
  std::string hint;
  if (response.status == 401) hint = "; check the token";
  if (response.status == 403) hint = "; the token lacks a permission (whoami shows what it has)";
  return absl::Status(CodeOfHttpStatus(response.status),
                      absl::StrCat(request.what, ": the platform answered ", response.status,
                                   text.empty() ? "" : ": ", text, hint));
}

HttpRequest ApiTransport::Prepare(const ApiRequest& request, const CallContext& context) const {
  HttpRequest sent = {
      .method = request.method, .target = request.target, .headers = request.headers};
  if (!request.json_body.empty()) {
    sent.body = request.json_body;
    sent.content_type = "application/json";
  }
  if (request.next_body_piece != nullptr) {
    sent.next_body_piece = request.next_body_piece;
    sent.body_size = request.body_size;
    sent.content_type = request.content_type;
  }
  if (!endpoint_.token.empty())
    sent.headers.emplace_back("Authorization", absl::StrCat("Bearer ", endpoint_.token));
  if (!endpoint_.project.empty()) sent.headers.emplace_back("Project", endpoint_.project);
  sent.headers.emplace_back("User-Agent", "contree-service");
  // An id from outside may be any text; only one of our own form fits into a header.
  const bool has_id = IsUuid(context.request_id);
  if (has_id) sent.headers.emplace_back("X-Request-ID", context.request_id);
  const TraceContext& trace = context.trace;
  if (!trace.traceparent.empty()) {
    sent.headers.emplace_back("Traceparent", trace.traceparent);
    if (!trace.tracestate.empty()) sent.headers.emplace_back("Tracestate", trace.tracestate);
    if (!trace.baggage.empty()) sent.headers.emplace_back("Baggage", trace.baggage);
  } else if (has_id) {
    sent.headers.emplace_back("Traceparent", TraceParent(context.request_id));
  }
  return sent;
}

absl::Status ApiTransport::Once(const ApiRequest& request, const CallContext& context,
                                const HttpResponseSink& sink, absl::Duration max_silence) const {
  HttpRequest sent = Prepare(request, context);
  sent.max_silence = max_silence;
  const std::string route = RouteOf(request.target);
  bool is_answered = false;
  HttpResponseSink counting = sink;
  counting.on_head = [&](const HttpResponse& head) {
    is_answered = true;
    UpstreamRequests().Add({request.method, route, absl::StrCat(head.status)});
    UpstreamUp().Set({}, head.status < 500 ? 1 : 0);
    return sink.on_head == nullptr ? absl::OkStatus() : sink.on_head(head);
  };
  absl::Status status = http_->Exchange(sent, context, counting);
  if (!is_answered && !absl::IsCancelled(status)) {
    UpstreamRequests().Add({request.method, route, "none"});
    UpstreamUp().Set({}, 0);
  }
  return status;
}

absl::Status ApiTransport::Exchange(
    const ApiRequest& request, const CallContext& context, size_t max_bytes, HttpResponse* response,
    const std::function<absl::Status(absl::string_view)>& sink) const {
  const bool replayable = IsReplayable(request.method);
  const int first_error = request.redirect_is_answer ? 400 : 300;
  return RunWithRetries(retry_, *clock_, context, [&]() -> Attempt {
    bool handed_on = false;
    const HttpResponseSink collect = {
        .on_head =
            [&](const HttpResponse& head) {
              *response = head;
              response->body.clear();
              return absl::OkStatus();
            },
        .on_data =
            [&](absl::string_view bytes) {
              const bool success = response->status < first_error;
              if (success && sink != nullptr) {
                handed_on = true;
                return sink(bytes);
              }
              if (!success && response->body.size() + bytes.size() > kMaxErrorBodyBytes)
                return absl::OkStatus();
              if (response->body.size() + bytes.size() > max_bytes) {
                return absl::ResourceExhaustedError(absl::StrCat(
                    request.what, ": the platform's answer is larger than ", max_bytes, " bytes"));
              }
              response->body.append(bytes.data(), bytes.size());
              return absl::OkStatus();
            }};
    const absl::Status status = Once(request, context, collect, kMaxSilence);
    if (!status.ok()) {
      const bool broke = absl::IsUnavailable(status);
      if (!replayable && !NothingWasSent(status) &&
          (broke || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status))) {
        return {.status = absl::UnknownError(
                    absl::StrCat(request.what, ": it is not known whether the platform did it (",
                                 status.message(), "); look before you try again"))};
      }
      return {
          .status = absl::Status(status.code(), absl::StrCat(request.what, ": ", status.message())),
          .may_retry = broke && !handed_on,
          .unreachable = NothingWasSent(status)};
    }
    if (response->status < first_error) return {.status = absl::OkStatus()};
    absl::Status error = ErrorOf(request, *response);
    const bool rejected_unprocessed = response->status == 425 || response->status == 429;
    const bool transient = IsTransientHttpStatus(response->status);
    if (!replayable && transient && !rejected_unprocessed) {
      return {.status = absl::UnknownError(absl::StrCat(
                  error.message(),
                  "; it is not known whether the platform did it: look before you try again"))};
    }
    Attempt attempt = {.status = std::move(error), .may_retry = transient};
    if (const auto after = response->Header("Retry-After"); after.has_value()) {
      attempt.retry_after = ParseRetryAfter(*after, clock_->Now());
    }
    return attempt;
  });
}

absl::StatusOr<HttpResponse> ApiTransport::Call(const ApiRequest& request,
                                                const CallContext& context) const {
  HttpResponse response;
  RETURN_IF_ERROR(Exchange(request, context, kMaxAnswerBytes, &response, nullptr));
  return response;
}

absl::StatusOr<HttpResponse> ApiTransport::Send(const ApiRequest& request,
                                                const CallContext& context) const {
  HttpResponse response;
  const HttpResponseSink collect = {
      .on_head =
          [&](const HttpResponse& head) {
            response = head;
            return absl::OkStatus();
          },
      .on_data =
          [&](absl::string_view bytes) {
            if (response.body.size() + bytes.size() > kMaxErrorBodyBytes) {
              return absl::ResourceExhaustedError(
                  absl::StrCat(request.what, ": the platform's answer is larger than ",
                               kMaxErrorBodyBytes, " bytes"));
            }
            response.body.append(bytes.data(), bytes.size());
            return absl::OkStatus();
          }};
  RETURN_IF_ERROR(Once(request, context, collect, kMaxSilence));
  if (response.status >= 300) return ErrorOf(request, response);
  return response;
}

absl::Status ApiTransport::Download(
    const ApiRequest& request, const CallContext& context,
    const std::function<absl::Status(absl::string_view)>& sink) const {
  HttpResponse response;
  return Exchange(request, context, kMaxAnswerBytes, &response, sink);
}

}  // namespace contree
