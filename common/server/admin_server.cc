#include "common/server/admin_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/server/listen_address.h"
#include "common/status/status_macros.h"
#include "common/telemetry/metrics.h"

namespace contree {
namespace {

constexpr char kText[] = "text/plain; charset=utf-8";
constexpr int kMaxConnections = 32;

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& listen,
                                                                std::function<bool()> is_ready,
                                                                const std::string& details) {
  ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(listen));
  ASSIGN_OR_RETURN(
      std::unique_ptr<HttpServer> server,
      HttpServer::Start(
          {.host = address.host, .port = address.port, .max_connections = kMaxConnections},
          [is_ready = std::move(is_ready),
           health = absl::StrCat("ok\n", details)](HttpExchange& exchange) {
            if (exchange.method() != "GET" && exchange.method() != "HEAD") {
              exchange.SetHeader("Allow", "GET, HEAD");
              exchange.Respond(405);
            } else if (exchange.path() == "/metrics") {
              exchange.Respond(200, "text/plain; version=0.0.4; charset=utf-8", MetricsText());
            } else if (exchange.path() == "/healthz") {
              exchange.Respond(200, kText, health);
            } else if (exchange.path() == "/readyz") {
              const bool ready = is_ready();
              exchange.Respond(ready ? 200 : 503, kText, ready ? "ready\n" : "draining\n");
            } else {
              exchange.Respond(404, kText, "/metrics, /healthz and /readyz are here\n");
            }
          }));
  return std::unique_ptr<AdminServer>(new AdminServer(std::move(server)));
}

}  // namespace contree
