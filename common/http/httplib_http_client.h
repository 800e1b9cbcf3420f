#ifndef COMMON_HTTP_HTTPLIB_HTTP_CLIENT_H_
#define COMMON_HTTP_HTTPLIB_HTTP_CLIENT_H_

// HttpClient over cpp-httplib: a bounded pool of kept-alive connections to one base URL, a deadline
// on the exchange as a whole, cancellation while connecting, sending or receiving (resolving a host
// name alone cannot be interrupted; it ends by the resolver's own timeout).

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/http/http_client.h"
#include "common/time/timer_queue.h"

namespace contree {

struct HttplibHttpClientOptions {
  // "http://HOST[:PORT][/PREFIX]" or https; a trailing slash does not matter.
  std::string base_url = "";
  // Exchanges at once, streams included; one more waits for its turn until its deadline.
  size_t max_connections = 2048;
  // Connections that are kept open between exchanges.
  size_t max_idle_connections = 32;
  // One that was idle for longer is closed instead of used, before the server closes it under a
  // POST.
  absl::Duration max_idle = absl::Seconds(4);
  absl::Duration connect_timeout = absl::Seconds(10);
  // A file of trusted certificates (PEM) instead of the system's; empty: the system's.
  std::string ca_file = "";
  // The numeric address to connect to instead of resolving the host (which is still what TLS
  // verifies and the server is told): for callers that decide by the address. Empty: resolve.
  std::string dial_address = "";
  // A server may send so many bytes (and an eighth of its body) that come to nothing, in heads and
  // between chunks, before the exchange ends with ResourceExhausted. The library reads those into
  // memory, however many there are: for servers that are not trusted. 0: no bound.
  size_t max_undelivered_bytes = 0;
};

// Thread-safe.
class HttplibHttpClient final : public HttpClient {
 public:
  // InvalidArgument: base_url is none.
  static absl::StatusOr<std::unique_ptr<HttplibHttpClient>> Create(
      const HttplibHttpClientOptions& options);
  ~HttplibHttpClient() override;  // no exchange may run

  absl::Status Exchange(const HttpRequest& request, const CallContext& context,
                        const HttpResponseSink& sink) override;

 private:
  class Connection;

  HttplibHttpClient(HttplibHttpClientOptions options, std::string origin, std::string prefix);

  absl::StatusOr<std::unique_ptr<Connection>> Take(const CallContext& context);
  void GiveBack(std::unique_ptr<Connection> connection, bool reusable);

  const HttplibHttpClientOptions options_;
  const std::string origin_;  // scheme, host and port
  const std::string prefix_;  // path of the base URL, without the trailing slash
  TimerQueue timers_;

  absl::Mutex mutex_;
  absl::CondVar returned_;
  size_t in_use_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Connection>> idle_ ABSL_GUARDED_BY(mutex_);  // the newest at the end
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTPLIB_HTTP_CLIENT_H_
