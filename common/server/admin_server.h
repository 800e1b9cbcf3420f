#ifndef COMMON_SERVER_ADMIN_SERVER_H_
#define COMMON_SERVER_ADMIN_SERVER_H_

// What operators' programs ask a server, over plain HTTP on a port of its own (--admin-listen):
//
//   /metrics   Prometheus' text format
//   /healthz   200 while the process lives: "ok", and what else the server has to say of itself
//   /readyz    200 while it takes calls; 503 once it drains
//
// Nothing there is secret but how much each tenant calls, and nothing can be changed: any address
// may be listened on. Thread-safe.

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/http_server.h"

namespace contree {

class AdminServer {
 public:
  // `listen`: "HOST:PORT"; port 0: a free one. `is_ready` is asked on any thread, and must be
  // quick. `details`: lines for /healthz, each with its end. InvalidArgument: no address.
  // Unavailable: it cannot be bound.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const std::string& listen,
                                                            std::function<bool()> is_ready,
                                                            const std::string& details = "");

  // "http://127.0.0.1:41234"
  std::string url() const { return server_->url(); }

 private:
  explicit AdminServer(std::unique_ptr<HttpServer> server) : server_(std::move(server)) {}

  const std::unique_ptr<HttpServer> server_;
};

}  // namespace contree

#endif  // COMMON_SERVER_ADMIN_SERVER_H_
