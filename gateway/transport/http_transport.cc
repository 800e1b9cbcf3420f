#include "gateway/transport/http_transport.h"

#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/session.h"
#include "gateway/transport/streamed_call.h"

namespace contree::gateway {
namespace {

constexpr char kJson[] = "application/json";
constexpr char kEventStream[] = "text/event-stream";

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

struct Accepts {
  bool json = false;
  bool events = false;
};

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

}  // namespace

HttpTransport::HttpTransport(const McpServer& server, const HttpTransportOptions& options)
    : server_(server),
      origins_(options.allowed_hosts),
      grace_(options.grace),
      keep_alive_(options.keep_alive),
      pages_(options.pages),
      pool_(options.max_connections) {}

absl::StatusOr<std::unique_ptr<HttpTransport>> HttpTransport::Start(
    const McpServer& server, const HttpTransportOptions& options) {
  std::unique_ptr<HttpTransport> transport(new HttpTransport(server, options));
  HttpServerOptions http_options;
  http_options.host = options.host;
  http_options.port = options.port;
  http_options.max_connections = options.max_connections;
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

void HttpTransport::Stop() {
  const std::jthread watchdog([this](const std::stop_token& all_ended) {
    if (RealClock().Sleep(grace_, all_ended)) grace_is_over_.request_stop();
  });
  http_server_->Stop();
  pool_.WaitUntilIdle(absl::InfiniteFuture());
}

void HttpTransport::Handle(HttpExchange& exchange) {
  // Probes come from anywhere and learn nothing.
  if (exchange.path() == "/healthz" && exchange.method() == "GET") {
    return RespondText(exchange, 200, "ok");
  }
  if (const absl::Status allowed =
          origins_.Check(exchange.Header("Host"), exchange.Header("Origin"));
      !allowed.ok()) {
    return RespondError(exchange, 403, allowed.message());
  }
  if (exchange.path() != "/mcp") {
    if (pages_ != nullptr && pages_(exchange)) return;
    return RespondText(exchange, 404, "MCP is at POST /mcp");
  }
  if (exchange.method() != "POST") {
    exchange.SetHeader("Allow", "POST");
    return RespondError(exchange, 405, "use POST: this server has no sessions and no event stream");
  }
  HandlePost(exchange);
}

void HttpTransport::HandlePost(HttpExchange& exchange) {
  if (MediaType(exchange.Header("Content-Type").value_or("")) != kJson) {
    return RespondError(exchange, 415, "the Content-Type must be application/json");
  }
  const Accepts accepts = ReadAccept(exchange.Header("Accept"));
  if (!accepts.json && !accepts.events) {
    return RespondError(exchange, 406, "accept application/json and text/event-stream");
  }
  if (const std::optional<std::string> version = exchange.Header("MCP-Protocol-Version");
      version.has_value() && !IsSupportedProtocolVersion(*version)) {
    constexpr size_t kMaxShownBytes = 40;
    return RespondError(exchange, 400,
                        absl::StrCat("the MCP-Protocol-Version '",
                                     version->substr(0, kMaxShownBytes), "' is not supported"));
  }
  const absl::StatusOr<std::string> body = exchange.ReadBody(ParseLimits().max_bytes);
  if (absl::IsResourceExhausted(body.status())) {
    return RespondError(
        exchange, 413,
        absl::StrCat("the message is larger than ", ParseLimits().max_bytes, " bytes"));
  }
  if (!body.ok()) return RespondError(exchange, 400, "the request's body did not arrive whole");

  auto events = std::make_shared<EventQueue>();
  auto session = std::make_shared<Session>(
      server_, [events](std::string message) { events->Push(std::move(message)); });
  Session::Accepted accepted = session->Accept(*body);
  if (accepted.answer.has_value()) {
    return exchange.Respond(accepted.is_malformed ? 400 : 200, kJson, std::move(*accepted.answer));
  }
  if (accepted.call == nullptr) return exchange.Respond(202);

  const bool as_events = accepts.events && (accepted.call->wants_progress() || !accepts.json);
  if (!as_events) accepted.call->DropProgress();
  if (!as_events && accepted.call->effort() != Effort::kWaits) {
    const std::stop_callback on_grace_is_over(grace_is_over_.get_token(),
                                              [&accepted] { accepted.call->Stop(); });
    // Nobody can cancel it, so there is an answer.
    return exchange.Respond(200, kJson, accepted.call->Run().value_or(""));
  }
  exchange.SetHeader("Cache-Control", "no-cache");
  exchange.SetHeader("X-Accel-Buffering", "no");
  exchange.RespondStream(
      200, as_events ? kEventStream : kJson,
      [this, streamed = StreamedCall{std::move(events), std::move(session),
                                     std::shared_ptr<PendingCall>(std::move(accepted.call)),
                                     as_events}](HttpResponseStream& stream) {
        WriteStreamedCall(streamed, keep_alive_, pool_, stream);
      });
}

}  // namespace contree::gateway
