// What of the API is about an operation's events.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/http/retry_after.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/api/sse_parser.h"

namespace contree {
namespace {

constexpr size_t kMaxErrorBodyBytes = 64 << 10;

bool MeansNoEventRoute(int status) {
  return status == 400 || status == 404 || status == 405 || status == 406 || status == 415 ||
         status == 501;
}

// One connection to an event stream. Of the loop's thread.
class EventStream {
 public:
  EventStream(std::shared_ptr<const ApiTransport> transport, ApiRequest request,
              std::function<absl::Status(const StreamedEvent&)> on_event)
      : transport_(std::move(transport)),
        request_(std::move(request)),
        on_event_(std::move(on_event)) {}

  absl::Status OnHead(const HttpResponse& head) {
    response_ = head;
    return absl::OkStatus();
  }

  absl::Status OnData(absl::string_view bytes) {
    if (response_.status < 300)
      return parser_.Feed(bytes, [this](const SseFrame& frame) { return OnFrame(frame); });
    if (response_.body.size() < kMaxErrorBodyBytes)
      response_.body.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }

  EventStreamEnd EndOf(const absl::Status& status) const {
    EventStreamEnd end = {.status = status};
    // Bytes that are no HTTP come from a proxy in trouble; the next connection may be better.
    if (absl::IsDataLoss(status))
      end.status = absl::UnavailableError(absl::StrCat(request_.what, ": ", status.message()));
    if (response_.status < 300) return end;
    end.no_route = MeansNoEventRoute(response_.status);
    end.not_ready = response_.status == 410 || response_.status == 425;
    end.status = transport_->ErrorOf(request_, response_);
    if (const auto after = response_.Header("Retry-After"); after.has_value())
      end.retry_after = ParseRetryAfter(*after, transport_->clock().Now());
    return end;
  }

 private:
  absl::Status OnFrame(const SseFrame& frame) {
    const std::optional<StreamedEvent> event = EventFromFrame(frame);
    if (!event.has_value()) return absl::OkStatus();
    if (event->failure) return absl::AbortedError("the platform says that its event stream failed");
    return on_event_(*event);
  }

  const std::shared_ptr<const ApiTransport> transport_;
  const ApiRequest request_;
  const std::function<absl::Status(const StreamedEvent&)> on_event_;
  HttpResponse response_;  // its body only where it is an error
  SseParser parser_;
};

}  // namespace

absl::StatusOr<HttpStreamLoop::Id> ContreeApi::OpenEvents(
    HttpStreamLoop& loop, absl::string_view id, int64_t last_event_id, absl::Duration max_silence,
    const CallContext& context, std::function<absl::Status(const StreamedEvent&)> on_event,
    std::function<void(const EventStreamEnd&)> on_end) const {
  ApiRequest request = {
      .what = absl::StrCat("operation ", id),
      .target = absl::StrCat("/v1/operations/", PercentEncode(id), "/events?follow=1")};
  request.headers.emplace_back("Accept", "text/event-stream");
  if (last_event_id >= 0)
    request.headers.emplace_back("Last-Event-Id", absl::StrCat(last_event_id));
  HttpRequest sent = transport_->Prepare(request, context);
  sent.max_silence = max_silence;
  const auto stream =
      std::make_shared<EventStream>(transport_, std::move(request), std::move(on_event));
  return loop.Open(
      base_url(), sent,
      {.sink = {.on_head = [stream](const HttpResponse& head) { return stream->OnHead(head); },
                .on_data = [stream](absl::string_view bytes) { return stream->OnData(bytes); }},
       .on_end = [stream, on_end = std::move(on_end)](const absl::Status& status) {
         on_end(stream->EndOf(status));
       }});
}

}  // namespace contree
