#ifndef COMMON_HTTP_HTTP_STREAM_LOOP_H_
#define COMMON_HTTP_HTTP_STREAM_LOOP_H_

// Long answers to many GETs on one thread: a thousand streams that mostly wait cost a thousand
// sockets and nothing else. For short exchanges and for bodies there is HttpClient.
//
// Redirects are not followed, certificates are verified, every part of an answer is bounded except
// the body, whose bytes are handed on as they come. Compression is not asked for (a stream of small
// events gains nothing from it and costs 40 KiB a connection), but gzip is understood.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_client.h"

namespace contree {

struct HttpStreamLoopOptions {
  // Until the request is sent, TLS included.
  absl::Duration connect_timeout = absl::Seconds(10);
  // A file of trusted certificates (PEM) instead of the system's; empty: the system's.
  std::string ca_file = "";
};

// Thread-safe.
class HttpStreamLoop {
 public:
  using Id = uint64_t;

  // What happens to one stream. Called on the loop's thread, in turn; must not block.
  struct Events {
    // As in HttpClient::Exchange. An error ends the stream with it.
    HttpResponseSink sink;
    // Called once, at last. OK: the answer is complete. Unavailable: no connection, it broke, or
    // nothing came for max_silence. Unauthenticated: the certificate does not verify. DataLoss: no
    // HTTP. Cancelled: it was closed. Otherwise the sink's own error.
    std::function<void(const absl::Status&)> on_end;
  };

  // ResourceExhausted: the system gives no descriptors.
  static absl::StatusOr<std::unique_ptr<HttpStreamLoop>> Create(
      const HttpStreamLoopOptions& options = {});
  virtual ~HttpStreamLoop() = default;  // ends what is open, each with Cancelled

  // Sends the request (a GET without a body) to `base_url` and hands the answer on. Where the host
  // is a name, waits for the resolver; nothing else here waits. With an error, nothing was begun
  // and no event comes. InvalidArgument: the base URL or a header is none. Unavailable: the host
  // does not resolve. FailedPrecondition: the trusted certificates cannot be read.
  virtual absl::StatusOr<Id> Open(const std::string& base_url, const HttpRequest& request,
                                  Events events) = 0;

  // Ends a stream soon, unless it has ended. May be called from an event.
  virtual void Close(Id id) = 0;
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_STREAM_LOOP_H_
