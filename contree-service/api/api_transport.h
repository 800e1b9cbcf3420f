#ifndef CONTREE_SERVICE_API_API_TRANSPORT_H_
#define CONTREE_SERVICE_API_API_TRANSPORT_H_

// Exchanges with the ConTree API: credentials and trace headers on the way out, one table from HTTP
// status to absl::Status on the way in, and the only retry layer of this path.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/http/http_client.h"
#include "common/retry/retry_loop.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree-service/api_endpoint.h"

namespace contree {

struct ApiRequest {
  std::string what;  // names the object in errors: "image 4f…", "operation 01…"
  std::string method = "GET";
  std::string target;          // "/v1/…"
  std::string json_body = "";  // empty: no body
  HttpHeaders headers = {};
  // A streamed body instead of json_body, as in HttpRequest.
  std::string content_type = "";
  std::function<absl::StatusOr<std::string>()> next_body_piece = nullptr;
  std::optional<size_t> body_size = std::nullopt;
  bool redirect_is_answer = false;  // a 3xx is an answer, not an error
};

// HTTP status → code. 2xx is OK.
absl::StatusCode CodeOfHttpStatus(int status);

// Whether asking again may help: 425, 429 and 5xx that are not for ever.
bool IsTransientHttpStatus(int status);

// Thread-safe.
class ApiTransport {
 public:
  ApiTransport(std::shared_ptr<HttpClient> http, ApiEndpoint endpoint, Clock* clock,
               const RetryPolicy& retry);

  const ApiEndpoint& endpoint() const { return endpoint_; }
  Clock& clock() const { return *clock_; }

  // Sends and takes the whole answer. Connection errors and 425, 429, 5xx are tried again as the
  // policy says (where nobody listens at all, for seconds only); POST and PATCH only on 425, 429 or
  // when nothing was sent. The answer is a 2xx (or a
  // redirect that was asked for). Errors: as the table says, with the platform's own words.
  // Unknown: a POST or PATCH may or may not have been done. ResourceExhausted: the answer is too
  // large.
  absl::StatusOr<HttpResponse> Call(const ApiRequest& request, const CallContext& context) const;

  // Sends a streamed body and takes the whole answer; one attempt, because the body is gone
  // afterwards. What it sends must do no harm when it is sent again: errors are those of the table,
  // never Unknown.
  absl::StatusOr<HttpResponse> Send(const ApiRequest& request, const CallContext& context) const;

  // Sends a GET and hands the body of a 2xx answer on as it comes. Tried again only before the
  // first byte. The sink's own error ends it.
  absl::Status Download(const ApiRequest& request, const CallContext& context,
                        const std::function<absl::Status(absl::string_view)>& sink) const;

  // As it goes over the wire: with credentials and trace headers.
  HttpRequest Prepare(const ApiRequest& request, const CallContext& context) const;

  // One attempt, whatever the answer; its body goes to `sink`.
  absl::Status Once(const ApiRequest& request, const CallContext& context,
                    const HttpResponseSink& sink, absl::Duration max_silence) const;

  // The error that an answer of 300 and up stands for.
  absl::Status ErrorOf(const ApiRequest& request, const HttpResponse& response) const;

 private:
  absl::Status Exchange(const ApiRequest& request, const CallContext& context, size_t max_bytes,
                        HttpResponse* response,
                        const std::function<absl::Status(absl::string_view)>& sink) const;

  const std::shared_ptr<HttpClient> http_;
  const ApiEndpoint endpoint_;
  Clock* const clock_;
  const RetryPolicy retry_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_API_API_TRANSPORT_H_
