#ifndef GATEWAY_TRANSPORT_HTTP_TRANSPORT_H_
#define GATEWAY_TRANSPORT_HTTP_TRANSPORT_H_

// MCP over Streamable HTTP, of all revisions on one endpoint. Any replica can serve any request:
// one of 2026-07-28 stands for itself, and a session of the earlier era is its own id
// (http_sessions.h).
//
// A client of the earlier era that goes away cancels nothing; notifications/cancelled does, where
// the request runs in this process, and the tool cancel_operation everywhere. Of 2026-07-28,
// closing the answer is how a request is cancelled.
//
//   POST /mcp      a request → its answer, as JSON or as a stream of events;
//                  a notification or response → 202
//   GET /mcp       what a session has to say besides, as a stream of events; 405 where replicas
//                  share its key, for the reason may lie in another one
//   GET /healthz   200 while it serves; 503 once it retires
//   GET /.well-known/oauth-protected-resource[/mcp]   who makes the tokens (http_admission.h)
//   anything else  what `pages` of the options answers
//
// What concerns /mcp is only looked at once its sender was let in.

#include <atomic>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_server.h"
#include "common/http/tls_server.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/transport/http_admission.h"
#include "gateway/transport/http_sessions.h"
#include "gateway/transport/origin_policy.h"
#include "gateway/transport/push_streams.h"
#include "gateway/transport/streamed_call.h"
#include "gateway/transport/worker_pool.h"

namespace contree::gateway {

struct HttpTransportOptions {
  std::string host = "127.0.0.1";
  int port = 0;                                    // 0: a free one
  std::shared_ptr<const TlsServer> tls = nullptr;  // null: http
  std::vector<std::string> allowed_hosts = {};     // see OriginPolicy
  int max_connections = 1024;
  size_t max_streams = 4096;  // that stay open while nothing happens
  // How long calls that do not wait for operations may go on once Stop was called.
  absl::Duration grace = absl::Seconds(2);
  // How often something is written to a stream of events that is silent: proxies close such ones
  // after a minute.
  absl::Duration keep_alive = absl::Seconds(15);
  // Who is let in to /mcp.
  HttpAdmissionOptions admission = {};
  // Answers requests for other paths, which have passed the same checks of Host and Origin, but are
  // nobody's yet; false: it has no such path, and did not answer.
  std::function<bool(HttpExchange&, const HttpAdmission&)> pages = nullptr;
};

// Thread-safe.
class HttpTransport {
 public:
  // Serves until Stop. `server` must outlive it.
  // Unavailable: the address cannot be bound. ResourceExhausted: no descriptors or threads are
  // left.
  static absl::StatusOr<std::unique_ptr<HttpTransport>> Start(const McpServer& server,
                                                              const HttpTransportOptions& options);
  ~HttpTransport();  // stops

  int port() const { return http_server_->port(); }
  std::string url() const { return http_server_->url() + "/mcp"; }
  // /healthz says 503, and each answer closes its connection. What comes is served until no request
  // has come for half a second, for 5 s at the longest; then nothing is taken any more, and what is
  // being answered gets `grace`. Streams of what happens besides stay open. Stop is to follow.
  void Retire(absl::Duration grace);
  // Takes no new requests, tells waiting calls to stop waiting at once and the others after the
  // grace, and returns when they have. Idempotent.
  void Stop();

  // What a client takes as an answer.
  struct Accepts {
    bool json = false;
    bool events = false;
  };

 private:
  HttpTransport(const McpServer& server, const HttpTransportOptions& options,
                std::unique_ptr<HttpPushLoop> loop);

  void Handle(HttpExchange& exchange);
  void HandleMcp(const Caller& caller, HttpExchange& exchange);
  void HandleGet(const Caller& caller, HttpExchange& exchange);
  void HandlePost(const Caller& caller, HttpExchange& exchange);
  void HandleBatch(const std::string& body, const Caller& caller, HttpExchange& exchange);
  absl::StatusOr<HttpSessions::Found> FindSession(const Message& message, Era era,
                                                  const Caller& caller, HttpExchange& exchange);
  void RespondToCall(StreamedCall streamed, const Accepts& accepts,
                     const HttpSessions::Found& found, HttpExchange& exchange);
  // For a call that has ended.
  void RespondWhole(const CallEvents::Taken& taken, Era era, const HttpSessions::Found& found,
                    HttpExchange& exchange);

  const McpServer& server_;
  const OriginPolicy origins_;
  const absl::Duration grace_;
  const absl::Duration keep_alive_;
  const HttpAdmission admission_;
  const std::function<bool(HttpExchange&, const HttpAdmission&)> pages_;
  HttpSessions sessions_;
  PushStreams streams_;
  std::atomic<bool> retiring_ = false;
  std::stop_source stopping_;
  std::stop_source grace_is_over_;
  WorkerPool pool_;
  std::unique_ptr<HttpServer> http_server_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_HTTP_TRANSPORT_H_
