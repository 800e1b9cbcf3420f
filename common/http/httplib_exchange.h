#ifndef COMMON_HTTP_HTTPLIB_EXCHANGE_H_
#define COMMON_HTTP_HTTPLIB_EXCHANGE_H_

// A request and its answer as handlers of an HttpServer see them, on cpp-httplib's. A part of the
// HTTP server. Used by the connection's thread.

#include <httplib.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/http/http_connection.h"
#include "common/http/http_server.h"

namespace contree {

// What one connection's thread knows about the request that it serves.
struct HttpServing {
  HttpConnection* connection = nullptr;
  bool close = false;  // after this answer
  bool accepts_gzip = false;
  bool detached = false;  // the connection is somebody else's now
};

class HttplibExchange final : public HttpExchange {
 public:
  // `reader` is null for methods that have no body. `stopping` ends streams. All outlive it; all
  // but `reader` outlive the streams it answers with.
  HttplibExchange(const httplib::Request& request, httplib::Response& response,
                  const httplib::ContentReader* reader, HttpServing& serving,
                  const std::atomic<bool>& stopping, bool compress);

  // Whether the head frames the body in one way only; anything else is how requests are smuggled.
  bool HasClearFraming() const;
  bool HasUnexpectedBody() const { return has_body_ && reader_ == nullptr; }

  const std::string& method() const override { return request_.method; }
  const std::string& path() const override { return request_.path; }
  const std::string& remote_address() const override { return serving_.connection->peer_address(); }
  std::optional<std::string> Query(const std::string& name) const override;
  std::vector<std::string> QueryAll(const std::string& name) const override;
  std::optional<std::string> Header(const std::string& name) const override;
  absl::StatusOr<std::string> ReadBody(size_t max_bytes) override;
  absl::Status ReadBody(size_t max_bytes,
                        absl::FunctionRef<absl::Status(absl::string_view)> sink) override;
  void SetHeader(const std::string& name, const std::string& value) override;
  void Respond(int status) override;
  void Respond(int status, const std::string& content_type, std::string body) override;
  void RespondStream(int status, const std::string& content_type,
                     absl::AnyInvocable<void(HttpResponseStream&)> produce) override;
  void RespondDetached(int status, const std::string& content_type,
                       absl::AnyInvocable<void(std::unique_ptr<HttpDetachedStream>)> take) override;

  // After the handler: an answer there is, and the connection stays in step with the client.
  void Finish();
  // After this answer.
  void Close();

 private:
  const httplib::Request& request_;
  httplib::Response& response_;
  const httplib::ContentReader* const reader_;
  HttpServing& serving_;
  const std::atomic<bool>& stopping_;
  const bool gzip_;
  bool has_body_ = false;
  bool reading_began_ = false;
  bool body_is_read_ = false;
  bool answered_ = false;
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTPLIB_EXCHANGE_H_
