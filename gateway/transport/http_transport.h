#ifndef GATEWAY_TRANSPORT_HTTP_TRANSPORT_H_
#define GATEWAY_TRANSPORT_HTTP_TRANSPORT_H_

// MCP over Streamable HTTP, without sessions: every request stands for itself, so any replica can
// serve it. For the same reason notifications/cancelled is taken and has no effect here: without a
// session an id names no request of this client. A client that goes away cancels nothing either;
// the tool cancel_operation does.
//
//   POST /mcp      a request → 200 with its answer, as JSON or as a stream of events;
//                  a notification or response → 202
//   GET /healthz   200 while it serves
//   anything else  what `pages` of the options answers

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_server.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/transport/origin_policy.h"
#include "gateway/transport/worker_pool.h"

namespace contree::gateway {

struct HttpTransportOptions {
  std::string host = "127.0.0.1";
  int port = 0;                                 // 0: a free one
  std::vector<std::string> allowed_hosts = {};  // see OriginPolicy
  int max_connections = 1024;
  // How long calls that do not wait for operations may go on once Stop was called.
  absl::Duration grace = absl::Seconds(2);
  // How often something is written to a stream of events that is silent: proxies close such ones
  // after a minute.
  absl::Duration keep_alive = absl::Seconds(15);
  // Answers requests for other paths, which have passed the same checks of Host and Origin; false:
  // it has no such path, and did not answer.
  std::function<bool(HttpExchange&)> pages = nullptr;
};

// Thread-safe.
class HttpTransport {
 public:
  // Serves until Stop. `server` must outlive it.
  // Unavailable: the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpTransport>> Start(const McpServer& server,
                                                              const HttpTransportOptions& options);
  ~HttpTransport();  // stops

  int port() const { return http_server_->port(); }
  std::string url() const { return http_server_->url() + "/mcp"; }
  // Takes no new requests, tells waiting calls to stop waiting at once and the others after the
  // grace, and returns when they have. Idempotent.
  void Stop();

 private:
  HttpTransport(const McpServer& server, const HttpTransportOptions& options);

  void Handle(HttpExchange& exchange);
  void HandlePost(HttpExchange& exchange);

  const McpServer& server_;
  const OriginPolicy origins_;
  const absl::Duration grace_;
  const absl::Duration keep_alive_;
  const std::function<bool(HttpExchange&)> pages_;
  std::stop_source grace_is_over_;
  WorkerPool pool_;
  std::unique_ptr<HttpServer> http_server_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_HTTP_TRANSPORT_H_
