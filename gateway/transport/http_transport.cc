#include "gateway/transport/http_transport.h"

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/request_meta.h"
#include "gateway/mcp/session.h"
#include "gateway/transport/batch.h"
#include "gateway/transport/request_headers.h"
#include "gateway/transport/streamed_call.h"

namespace contree::gateway {
namespace {

using Accepts = HttpTransport::Accepts;

// When so long no request has come, balancers have left.
constexpr absl::Duration kQuiet = absl::Milliseconds(500);
constexpr absl::Duration kLongestRetirement = absl::Seconds(5);
constexpr char kHealthPath[] = "/healthz";
constexpr char kJson[] = "application/json";
constexpr char kEventStream[] = "text/event-stream";
constexpr char kSessionHeader[] = "Mcp-Session-Id";
constexpr char kVersionHeader[] = "MCP-Protocol-Version";

// The type of "application/json; charset=utf-8", in lower case.
std::string MediaType(absl::string_view text) {
  return absl::AsciiStrToLower(absl::StripAsciiWhitespace(text.substr(0, text.find(';'))));
}

// Whether a range of an Accept header has the weight zero: "not this one".
bool IsRefused(absl::string_view range) {
  for (const absl::string_view parameter : absl::StrSplit(range, ';')) {
    const std::string text = absl::AsciiStrToLower(absl::StripAsciiWhitespace(parameter));
    double weight = 1;
    if (text.rfind("q=", 0) == 0 && absl::SimpleAtod(text.substr(2), &weight)) return weight == 0;
  }
  return false;
}

Accepts ReadAccept(const std::optional<std::string>& header) {
  // Some clients send none; all of them read JSON.
  if (!header.has_value()) return {.json = true, .events = false};
  Accepts accepts;
  for (const absl::string_view range : absl::StrSplit(*header, ',')) {
    if (IsRefused(range)) continue;
    const std::string type = MediaType(range);
    if (type == "*/*" || type == "application/*" || type == kJson) accepts.json = true;
    if (type == "*/*" || type == "text/*" || type == kEventStream) accepts.events = true;
  }
  return accepts;
}

void RespondText(HttpExchange& exchange, int status, absl::string_view text) {
  exchange.Respond(status, "text/plain; charset=utf-8", absl::StrCat(text, "\n"));
}

// Errors of the transport that an MCP client may want to read.
void RespondError(HttpExchange& exchange, int status, absl::string_view reason) {
  exchange.Respond(status, kJson, SerializeError(std::nullopt, InvalidRequest(reason)));
}

// What the headers and the message's _meta say together.
absl::StatusOr<RequestMeta> ReadMeta(const ParsedMessage& parsed, HttpExchange& exchange) {
  if (!parsed.message.ok()) return parsed.message.status();
  const std::optional<std::string> version = exchange.Header(kVersionHeader);
  if (parsed.message->kind() != Message::Kind::kRequest) {
    if (version.has_value() && !IsSupportedProtocolVersion(*version)) {
      return UnsupportedProtocolVersion(*version);
    }
    return RequestMeta();
  }
  ASSIGN_OR_RETURN(RequestMeta meta, ReadRequestMeta(*parsed.message, &version));
  if (meta.era == Era::kStateless) {
    RETURN_IF_ERROR(CheckRequestHeaders(*parsed.message, {.method = exchange.Header("Mcp-Method"),
                                                          .name = exchange.Header("Mcp-Name")}));
  }
  return meta;
}

// Before 2026-07-28 an error of JSON-RPC is an answer like any other.
int HttpStatus(const Answer& answer, Era era) {
  if (era == Era::kSessions) return 200;
  switch (answer.error_code) {
    case kMethodNotFoundCode:
      return 404;
    case kHeaderMismatchCode:
    case kMissingCapabilityCode:
    case kUnsupportedVersionCode:
      return 400;
    default:
      return 200;
  }
}

}  // namespace

HttpTransport::HttpTransport(const McpServer& server, const HttpTransportOptions& options,
                             std::unique_ptr<HttpPushLoop> loop)
    : server_(server),
      origins_(options.allowed_hosts),
      grace_(options.grace),
      keep_alive_(options.keep_alive),
      admission_(options.admission),
      pages_(options.pages),
      sessions_(server),
      streams_(server, sessions_, std::move(loop), options.keep_alive, options.max_streams),
      pool_(options.max_connections) {}

absl::StatusOr<std::unique_ptr<HttpTransport>> HttpTransport::Start(
    const McpServer& server, const HttpTransportOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<HttpPushLoop> loop, HttpPushLoop::Start());
  std::unique_ptr<HttpTransport> transport(new HttpTransport(server, options, std::move(loop)));
  HttpServerOptions http_options;
  http_options.host = options.host;
  http_options.port = options.port;
  http_options.max_connections = options.max_connections;
  http_options.probe_path = kHealthPath;
  http_options.tls = options.tls;
  ASSIGN_OR_RETURN(
      transport->http_server_,
      HttpServer::Start(http_options, [transport = transport.get()](HttpExchange& exchange) {
        transport->Handle(exchange);
      }));
  return transport;
}

HttpTransport::~HttpTransport() {
  if (http_server_ != nullptr) Stop();
}

void HttpTransport::Retire(absl::Duration grace) {
  retiring_ = true;
  http_server_->Retire(kQuiet, kLongestRetirement, grace);
}

void HttpTransport::Stop() {
  stopping_.request_stop();
  streams_.Stop();
  const std::jthread watchdog([this](const std::stop_token& all_ended) {
    if (RealClock().Sleep(grace_, all_ended)) grace_is_over_.request_stop();
  });
  http_server_->Stop();
  pool_.WaitUntilIdle(absl::InfiniteFuture());
}

void HttpTransport::Handle(HttpExchange& exchange) {
  // Probes come from anywhere and learn nothing.
  if (exchange.path() == kHealthPath && exchange.method() == "GET") {
    return retiring_ ? RespondText(exchange, 503, "ending") : RespondText(exchange, 200, "ok");
  }
  if (const absl::Status allowed =
          origins_.Check(exchange.Header("Host"), exchange.Header("Origin"));
      !allowed.ok()) {
    return RespondError(exchange, 403, allowed.message());
  }
  if (exchange.path() != "/mcp") {
    if (admission_.Describe(exchange)) return;
    if (pages_ != nullptr && pages_(exchange, admission_)) return;
    return RespondText(exchange, 404, "MCP is at POST /mcp");
  }
  if (const std::optional<Caller> caller = admission_.Admit(exchange);
      caller.has_value() && admission_.Allow(*caller, Scope::kRead, exchange)) {
    HandleMcp(*caller, exchange);
  }
}

void HttpTransport::HandleMcp(const Caller& caller, HttpExchange& exchange) {
  if (exchange.method() == "POST") return HandlePost(caller, exchange);
  if (exchange.method() == "GET" && sessions_.are_whole() &&
      exchange.Header(kVersionHeader) != kStatelessVersion &&
      exchange.Header(kSessionHeader).has_value()) {
    return HandleGet(caller, exchange);
  }
  exchange.SetHeader("Allow", "POST");
  RespondError(exchange, 405,
               exchange.method() == "DELETE" ? "a session needs no end: nothing of it is kept here"
                                             : "use POST");
}

void HttpTransport::HandleGet(const Caller& caller, HttpExchange& exchange) {
  if (!ReadAccept(exchange.Header("Accept")).events) {
    return RespondError(exchange, 406, "accept text/event-stream");
  }
  absl::StatusOr<HttpSessions::Found> found =
      sessions_.Find(*exchange.Header(kSessionHeader), caller.tenant);
  if (!found.ok()) return RespondError(exchange, 404, found.status().message());
  streams_.Open(*std::move(found), exchange);
}

void HttpTransport::HandlePost(const Caller& caller, HttpExchange& exchange) {
  if (MediaType(exchange.Header("Content-Type").value_or("")) != kJson) {
    return RespondError(exchange, 415, "the Content-Type must be application/json");
  }
  const Accepts accepts = ReadAccept(exchange.Header("Accept"));
  if (!accepts.json && !accepts.events) {
    return RespondError(exchange, 406, "accept application/json and text/event-stream");
  }
  const absl::StatusOr<std::string> body = exchange.ReadBody(ParseLimits().max_bytes);
  if (absl::IsResourceExhausted(body.status())) {
    return RespondError(
        exchange, 413,
        absl::StrCat("the message is larger than ", ParseLimits().max_bytes, " bytes"));
  }
  if (!body.ok()) return RespondError(exchange, 400, "the request's body did not arrive whole");
  if (IsBatch(*body)) return HandleBatch(*body, caller, exchange);

  ParsedMessage parsed = ParseMessage(*body);
  absl::StatusOr<RequestMeta> meta = ReadMeta(parsed, exchange);
  if (!meta.ok()) {
    return exchange.Respond(400, kJson, SerializeError(parsed.id, meta.status()));
  }
  if (!admission_.Allow(caller, server_.ScopeOf(*parsed.message), exchange)) return;
  absl::StatusOr<HttpSessions::Found> found =
      FindSession(*parsed.message, meta->era, caller, exchange);
  if (!found.ok()) return RespondError(exchange, 404, found.status().message());
  if (meta->era == Era::kStateless && parsed.message->method() == "subscriptions/listen") {
    if (!accepts.events) return RespondError(exchange, 406, "accept text/event-stream");
    CallContext context = CallContextOf(caller, absl::InfiniteDuration());
    context.trace = meta->trace;
    return streams_.Listen(*parsed.id, *std::move(parsed.message), std::move(context), exchange);
  }
  auto events = std::make_shared<CallEvents>();
  Session::Accepted accepted = found->session->Accept(
      std::move(parsed), std::move(meta),
      {.sink = [events](std::string message) { events->Push(std::move(message)); },
       .negotiated = found->NegotiatedOr(exchange.Header(kVersionHeader)),
       .caller = caller});
  if (accepted.answer.has_value()) {
    return exchange.Respond(accepted.is_malformed ? 400 : 200, kJson, std::move(*accepted.answer));
  }
  if (accepted.call == nullptr) return exchange.Respond(202);
  RespondToCall(
      {std::move(events), found->session, std::shared_ptr<PendingCall>(std::move(accepted.call)),
       false, stopping_.get_token()},
      accepts, *found, exchange);
}

absl::StatusOr<HttpSessions::Found> HttpTransport::FindSession(const Message& message, Era era,
                                                               const Caller& caller,
                                                               HttpExchange& exchange) {
  const std::optional<std::string> id = exchange.Header(kSessionHeader);
  if (!id.has_value() || era == Era::kStateless || message.method() == "initialize" ||
      exchange.Header(kVersionHeader) == kStatelessVersion) {
    return sessions_.OfOneRequest(caller.tenant);
  }
  return sessions_.Find(*id, caller.tenant);
}

void HttpTransport::RespondToCall(StreamedCall streamed, const Accepts& accepts,
                                  const HttpSessions::Found& found, HttpExchange& exchange) {
  PendingCall& call = *streamed.call;
  const bool waits = call.effort() == Effort::kWaits;
  const bool may_ask = accepts.events && call.may_ask();
  streamed.as_events =
      accepts.events && (call.wants_notifications() || !accepts.json || (may_ask && waits));
  if (!accepts.events || (waits && !streamed.as_events)) call.DropNotifications();
  const std::stop_callback on_grace_is_over(grace_is_over_.get_token(), [&call] { call.Stop(); });
  CallEvents::Taken first;
  if (!streamed.as_events && !waits) {
    if (may_ask && call.effort() != Effort::kImmediate) {
      StartStreamedCall(streamed, pool_);
    } else {
      streamed.events->Finish(call.Run());
    }
    first = streamed.events->Take(absl::InfiniteDuration());
    if (first.is_closed) return RespondWhole(first, call.era(), found, exchange);
    streamed.as_events = true;  // it asks, or reports
  } else {
    StartStreamedCall(streamed, pool_);
  }
  exchange.SetHeader("Cache-Control", "no-cache");
  exchange.SetHeader("X-Accel-Buffering", "no");
  exchange.RespondStream(
      200, streamed.as_events ? kEventStream : kJson,
      [keep_alive = keep_alive_, streamed = std::move(streamed), first = std::move(first)](
          HttpResponseStream& stream) { WriteStreamedCall(streamed, first, keep_alive, stream); });
}

void HttpTransport::RespondWhole(const CallEvents::Taken& taken, Era era,
                                 const HttpSessions::Found& found, HttpExchange& exchange) {
  if (!taken.answer.has_value()) return exchange.Respond(202);  // cancelled in the meantime
  const Answer& answer = *taken.answer;
  if (answer.negotiated.has_value()) {
    const absl::StatusOr<std::string> id = sessions_.Issue(found, *answer.negotiated);
    if (!id.ok()) return RespondError(exchange, 500, "no session can be made");
    exchange.SetHeader(kSessionHeader, *id);
  }
  if (found.token.has_value() && found.session->has_subscriptions()) sessions_.Keep(found);
  if (taken.events.empty()) {
    return exchange.Respond(HttpStatus(answer, era), kJson, answer.json);
  }
  std::string body;
  for (const std::string& message : taken.events) body += EventText(message);
  exchange.Respond(200, kEventStream, body + EventText(answer.json));
}

void HttpTransport::HandleBatch(const std::string& body, const Caller& caller,
                                HttpExchange& exchange) {
  const std::optional<std::string> version = exchange.Header(kVersionHeader);
  const std::optional<std::string> id = exchange.Header(kSessionHeader);
  const absl::StatusOr<HttpSessions::Found> found =
      id.has_value() ? sessions_.Find(*id, caller.tenant) : sessions_.OfOneRequest(caller.tenant);
  if (!found.ok()) return RespondError(exchange, 404, found.status().message());
  const Negotiated negotiated = found->NegotiatedOr(version);
  if (!HasBatches(version.value_or(negotiated.version))) {
    return RespondError(exchange, 400,
                        "batches are part of protocol 2025-03-26 only; send one message at a time");
  }
  absl::StatusOr<std::vector<ParsedMessage>> messages = ParseBatch(body);
  if (!messages.ok()) {
    return exchange.Respond(400, kJson, SerializeError(std::nullopt, messages.status()));
  }
  for (const ParsedMessage& parsed : *messages) {
    if (parsed.message.ok() &&
        !admission_.Allow(caller, server_.ScopeOf(*parsed.message), exchange))
      return;
  }
  const std::stop_callback on_grace_is_over(grace_is_over_.get_token(),
                                            [&found] { found->session->Stop(); });
  absl::Notification done;
  std::string answers;
  RunBatch(
      *std::move(messages),
      [&](ParsedMessage parsed) {
        absl::StatusOr<RequestMeta> meta = ReadMeta(parsed, exchange);
        return found->session->Accept(
            std::move(parsed), std::move(meta),
            {.sink = nullptr, .negotiated = negotiated, .caller = caller});
      },
      pool_,
      [&](std::string joined) {
        answers = std::move(joined);
        done.Notify();
      });
  done.WaitForNotification();
  if (answers.empty()) return exchange.Respond(202);
  exchange.Respond(200, kJson, std::move(answers));
}

}  // namespace contree::gateway
