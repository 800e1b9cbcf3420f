#ifndef COMMON_HTTP_HTTP_CLIENT_H_
#define COMMON_HTTP_HTTP_CLIENT_H_

// HTTP/1.1 exchanges with one base URL. Redirects are never followed: a 3xx comes back as it is, so
// credentials cannot travel to another host.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"

namespace contree {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";
  // Begins with '/', percent-encoded, query included; goes behind the base URL's own path.
  std::string target = "";
  HttpHeaders headers = {};
  std::string body = "";
  std::string content_type = "";  // of the body; empty: no body
  // A body that is not held in memory, instead of `body`: gives its next piece, an empty one at the
  // end. An error ends the exchange and is returned from it.
  std::function<absl::StatusOr<std::string>()> next_body_piece = nullptr;
  // How many bytes next_body_piece gives in all; absent: unknown (the body is sent chunked).
  std::optional<size_t> body_size = std::nullopt;
  // A connection on which nothing arrives (or can be sent) for so long counts as broken.
  absl::Duration max_silence = absl::InfiniteDuration();
};

struct HttpResponse {
  int status = 0;
  HttpHeaders headers = {};
  std::string body = "";  // decoded (gzip)

  // The first value of a header, its name in any case.
  std::optional<std::string> Header(absl::string_view name) const;
};

// Where a streamed answer goes.
struct HttpResponseSink {
  // Called once, before any data. An error ends the exchange and is returned from it.
  std::function<absl::Status(const HttpResponse& head)> on_head = nullptr;
  // Called with each piece as it arrives, decoded. An error ends the exchange and is returned from
  // it.
  std::function<absl::Status(absl::string_view bytes)> on_data = nullptr;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;

  // One exchange, the whole of it before context.deadline; ends promptly when context.stop is
  // requested. Any HTTP status is a success here. Thread-safe. Unavailable: no connection, or it
  // broke (see NothingWasSent). DeadlineExceeded. Cancelled: stop was requested. Unauthenticated:
  // the server's certificate does not verify. Otherwise the sink's own error.
  virtual absl::Status Exchange(const HttpRequest& request, const CallContext& context,
                                const HttpResponseSink& sink) = 0;
};

// An exchange whose answer is held in memory. ResourceExhausted: the (decoded) body is larger than
// max_body_bytes.
absl::StatusOr<HttpResponse> SendHttp(HttpClient& client, const HttpRequest& request,
                                      const CallContext& context, size_t max_body_bytes);

// Whether an Unavailable error came before any byte of the request left, so that even a POST may be
// sent again.
bool NothingWasSent(const absl::Status& status);
// For implementations of HttpClient: marks an Unavailable error as such.
absl::Status WithNothingWasSent(absl::Status status);

// Percent-encoding of one query name, query value or path segment: everything but RFC 3986's
// unreserved characters.
std::string PercentEncode(absl::string_view text);

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_CLIENT_H_
