#ifndef GATEWAY_GATEWAY_H_
#define GATEWAY_GATEWAY_H_

// The MCP gateway as a part of a program: MCP on one side, gRPC to the services on the other. The
// gateway's own main and the one-process contree-mcp both use it.
//
// Thread-safe. A Gateway keeps nothing that another one would miss (what it remembers of synced
// directories saves it walking them); it must outlive its HttpEndpoints.

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/tls_server.h"
#include "gateway/transport/http_admission.h"
#include "gateway/workspace/workspace.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace contree::gateway {

// Channels to the services, in-process or not. Shared with the caller.
struct ServiceChannels {
  std::shared_ptr<grpc::Channel> contree_service;         // required
  std::shared_ptr<grpc::Channel> auth_service = nullptr;  // none: the tools for registries say so
  std::shared_ptr<grpc::Channel> sync_service = nullptr;  // none: what needs it says so
};

struct StdioOptions {
  int input_fd = 0;   // read until its end
  int output_fd = 1;  // nothing but protocol is written to it
};

struct HttpOptions {
  std::string host = "127.0.0.1";  // loopback only, unless there is an authenticator
  int port = 9452;                 // 0: a free one
  TlsServerFiles tls = {};         // https with them, http without
  // Host names, without a port, that the headers Host and Origin may have besides those of
  // loopback.
  std::vector<std::string> allowed_hosts = {};
  // Who may call, and what clients are told about it.
  HttpAdmissionOptions admission = {};
};

// MCP over Streamable HTTP at POST /mcp, pages for people at / and /console, and /healthz. Stops
// when destroyed.
class HttpEndpoint {
 public:
  virtual ~HttpEndpoint() = default;
  virtual int port() const = 0;
  virtual std::string url() const = 0;  // "http://127.0.0.1:9452/mcp", or https
  // What to do before Stop so that clients and balancers lose no call: /healthz says 503, and each
  // answer closes its connection. What comes is served until no request has come for half a second,
  // for 5 s at the longest; what is being answered then gets `grace`.
  virtual void Retire(absl::Duration grace) = 0;
  // Takes no new requests, tells waiting ones to stop waiting (their operations go on) and returns
  // when they have. Idempotent.
  virtual void Stop() = 0;
};

class Gateway {
 public:
  // `workspace`: what tools may touch of this machine's files. `open_in_browser` shows the user a
  // page; null where the user is elsewhere. `session_key_file` (see common/secret/key_ring.h) holds
  // what seals sessions and the state of requests; gateways behind one address share it. Empty: a
  // key of this process alone. `watch_sources`: whether what rsync syncs is watched from then on,
  // or walked each time.
  // InvalidArgument: a channel is missing, or the key file is of another form. NotFound: there is
  // no such file.
  static absl::StatusOr<std::unique_ptr<Gateway>> Create(
      const ServiceChannels& channels, Workspace workspace,
      std::function<bool(const std::string& url)> open_in_browser = nullptr,
      const std::string& session_key_file = "", bool watch_sources = true);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // Speaks MCP, one message a line, until the input ends or `stop` is requested; then lets running
  // calls end within about a second and tells the rest to stop waiting (their operations go on).
  // Unavailable: reading or writing failed.
  absl::Status RunStdio(const StdioOptions& options, std::stop_token stop);

  // PermissionDenied: the host is not loopback, and nobody asks who calls. Unavailable: the address
  // cannot be bound. InvalidArgument, NotFound: the files of TLS cannot be used.
  absl::StatusOr<std::unique_ptr<HttpEndpoint>> ServeHttp(const HttpOptions& options);

 private:
  struct Parts;
  explicit Gateway(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_GATEWAY_H_
