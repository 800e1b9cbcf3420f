#include "common/http/httplib_exchange.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/http/gzip_encoder.h"
#include "common/http/tls_server.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

// An unread body of up to so many bytes is read and dropped; a longer one closes the connection.
constexpr size_t kMaxDroppedBytes = 256 * 1024;
constexpr size_t kMinCompressedBytes = 1024;

bool IsNumber(absl::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(c); });
}

class DetachedStream final : public HttpDetachedStream {
 public:
  DetachedStream(HttpConnection::Parts connection, std::unique_ptr<GzipEncoder> encoder)
      : socket_(std::move(connection.socket)),
        tls_(std::move(connection.tls)),
        encoder_(std::move(encoder)) {
    fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
  }

  int socket() const override { return socket_.get(); }

  void Write(absl::string_view bytes) override {
    if (bytes.empty()) return;  // an empty chunk would end the answer
    AddChunk(encoder_ == nullptr ? std::string(bytes) : encoder_->Encode(bytes));
    Flush();
  }

  void Finish() override {
    if (encoder_ != nullptr) AddChunk(encoder_->Finish(""));
    unsent_ += "0\r\n\r\n";
    Flush();
  }

  void Flush() override {
    size_t sent = 0;
    while (tls_ != nullptr && sent < unsent_.size() && !broken_) {
      const ssize_t n = tls_->Write(unsent_.data() + sent, unsent_.size() - sent);
      if (n == TlsSession::kWaitToWrite) break;
      if (n <= 0) {
        broken_ = true;  // a client that is to be read here breaks the rules of the protocol
      } else {
        sent += static_cast<size_t>(n);
      }
    }
    while (tls_ == nullptr && sent < unsent_.size() && !broken_) {
      const ssize_t n =
          send(socket_.get(), unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (n < 0) {
        broken_ = true;
      } else {
        sent += static_cast<size_t>(n);
      }
    }
    unsent_.erase(0, broken_ ? unsent_.size() : sent);
  }

  size_t unsent() const override { return unsent_.size(); }

  bool IsBroken() override {
    pollfd entry = {.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    broken_ = broken_ ||
              (poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
    return broken_;
  }

 private:
  void AddChunk(const std::string& bytes) {
    if (broken_ || bytes.empty()) return;
    absl::StrAppend(&unsent_, absl::Hex(bytes.size()), "\r\n", bytes, "\r\n");
  }

  const UniqueFd socket_;
  const std::unique_ptr<TlsSession> tls_;  // null: without
  const std::unique_ptr<GzipEncoder> encoder_;
  std::string unsent_;
  bool broken_ = false;
};

class ExchangeStream final : public HttpResponseStream {
 public:
  ExchangeStream(httplib::DataSink& sink, HttpConnection& connection,
                 const std::atomic<bool>& stopping, GzipEncoder* encoder)
      : sink_(sink), connection_(connection), stopping_(stopping), encoder_(encoder) {}

  bool Write(absl::string_view bytes) override {
    if (broken_) return false;
    if (bytes.empty()) return true;  // an empty chunk would end the answer
    if (encoder_ != nullptr) {
      const std::string encoded = encoder_->Encode(bytes);
      broken_ = !sink_.write(encoded.data(), encoded.size());
    } else {
      broken_ = !sink_.write(bytes.data(), bytes.size());
    }
    return !broken_;
  }

  bool IsOpen() override {
    if (!broken_) broken_ = stopping_.load() || !connection_.PeerIsThere();
    return !broken_;
  }

 private:
  httplib::DataSink& sink_;
  HttpConnection& connection_;
  const std::atomic<bool>& stopping_;
  GzipEncoder* const encoder_;
  bool broken_ = false;
};

}  // namespace

HttplibExchange::HttplibExchange(const httplib::Request& request, httplib::Response& response,
                                 const httplib::ContentReader* reader, HttpServing& serving,
                                 const std::atomic<bool>& stopping, bool compress)
    : request_(request),
      response_(response),
      reader_(reader),
      serving_(serving),
      stopping_(stopping),
      gzip_(compress && serving.accepts_gzip) {
  const bool chunked = request.has_header("Transfer-Encoding");
  has_body_ = chunked || (request.has_header("Content-Length") &&
                          request.get_header_value("Content-Length") != "0");
  body_is_read_ = !has_body_;
}

bool HttplibExchange::HasClearFraming() const {
  const size_t lengths = request_.get_header_value_count("Content-Length");
  if (request_.has_header("Transfer-Encoding")) {
    return lengths == 0 && request_.get_header_value_count("Transfer-Encoding") == 1 &&
           absl::EqualsIgnoreCase(request_.get_header_value("Transfer-Encoding"), "chunked");
  }
  return lengths == 0 || (lengths == 1 && IsNumber(request_.get_header_value("Content-Length")));
}

std::optional<std::string> HttplibExchange::Query(const std::string& name) const {
  const auto found = request_.params.find(name);
  if (found == request_.params.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> HttplibExchange::QueryAll(const std::string& name) const {
  std::vector<std::string> values;
  const auto [begin, end] = request_.params.equal_range(name);
  for (auto it = begin; it != end; ++it) values.push_back(it->second);
  return values;
}

std::optional<std::string> HttplibExchange::Header(const std::string& name) const {
  const auto found = request_.headers.find(name);
  if (found == request_.headers.end()) return std::nullopt;
  return found->second;
}

absl::StatusOr<std::string> HttplibExchange::ReadBody(size_t max_bytes) {
  std::string body;
  absl::Status status = ReadBody(max_bytes, [&body](absl::string_view bytes) {
    body.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return body;
}

absl::Status HttplibExchange::ReadBody(size_t max_bytes,
                                       absl::FunctionRef<absl::Status(absl::string_view)> sink) {
  if (reading_began_) return absl::FailedPreconditionError("the body was read already");
  reading_began_ = true;
  if (!has_body_ || reader_ == nullptr) return absl::OkStatus();
  absl::Status status;
  size_t read = 0;
  const bool complete = (*reader_)([&](const char* bytes, size_t size) {
    if (size > max_bytes - read) {
      status = absl::ResourceExhaustedError(
          absl::StrCat("the body of the request is larger than ", max_bytes, " bytes"));
      return false;
    }
    read += size;
    status = sink(absl::string_view(bytes, size));
    return status.ok();
  });
  if (!status.ok()) return status;
  if (!complete) {
    return absl::AbortedError("the client stopped sending the body of its request");
  }
  body_is_read_ = true;
  return absl::OkStatus();
}

void HttplibExchange::SetHeader(const std::string& name, const std::string& value) {
  response_.set_header(name, value);
}

void HttplibExchange::Respond(int status) {
  response_.status = status;
  answered_ = true;
}

void HttplibExchange::Respond(int status, const std::string& content_type, std::string body) {
  response_.status = status;
  answered_ = true;
  if (gzip_ && body.size() >= kMinCompressedBytes) {
    response_.set_header("Content-Encoding", "gzip");
    body = GzipEncoder().Finish(body);
  }
  response_.set_header("Content-Type", content_type);
  response_.body = std::move(body);
  // Head and body are written one by one.
  if (!response_.body.empty() && method() != "HEAD") serving_.connection->HoldNextWrite();
}

void HttplibExchange::RespondStream(int status, const std::string& content_type,
                                    absl::AnyInvocable<void(HttpResponseStream&)> produce) {
  response_.status = status;
  answered_ = true;
  std::shared_ptr<GzipEncoder> encoder;
  if (gzip_) {
    response_.set_header("Content-Encoding", "gzip");
    encoder = std::make_shared<GzipEncoder>();
  }
  // cpp-httplib copies its provider.
  auto shared = std::make_shared<absl::AnyInvocable<void(HttpResponseStream&)>>(std::move(produce));
  response_.set_chunked_content_provider(
      content_type, [shared, encoder, connection = serving_.connection, &stopping = stopping_](
                        size_t /*offset*/, httplib::DataSink& sink) {
        ExchangeStream stream(sink, *connection, stopping, encoder.get());
        (*shared)(stream);
        if (encoder != nullptr) {
          const std::string end = encoder->Finish("");
          sink.write(end.data(), end.size());
        }
        sink.done();
        return true;
      });
}

void HttplibExchange::RespondDetached(
    int status, const std::string& content_type,
    absl::AnyInvocable<void(std::unique_ptr<HttpDetachedStream>)> take) {
  response_.status = status;
  answered_ = true;
  if (gzip_) response_.set_header("Content-Encoding", "gzip");
  response_.set_header("Connection", "close");
  auto shared = std::make_shared<absl::AnyInvocable<void(std::unique_ptr<HttpDetachedStream>)>>(
      std::move(take));
  response_.set_chunked_content_provider(content_type, [shared, &serving = serving_, gzip = gzip_](
                                                           size_t /*offset*/, httplib::DataSink&) {
    serving.detached = serving.close = true;
    (*shared)(std::make_unique<DetachedStream>(serving.connection->Release(),
                                               gzip ? std::make_unique<GzipEncoder>() : nullptr));
    return false;  // the library's part ends here
  });
}

void HttplibExchange::Finish() {
  if (!answered_) {
    LogError("a request was not answered by its handler", {{"method", method()}});
    Respond(500, "text/plain", "internal error\n");
  }
  if (body_is_read_) return;
  if (!reading_began_ && reader_ != nullptr) {
    size_t dropped = 0;
    reading_began_ = true;
    const int status = response_.status;
    body_is_read_ = (*reader_)([&dropped](const char*, size_t size) {
      dropped += size;
      return dropped <= kMaxDroppedBytes;
    });
    response_.status = status;  // the reader sets its own where it fails
  }
  if (!body_is_read_) Close();
}

void HttplibExchange::Close() {
  serving_.close = true;
  response_.set_header("Connection", "close");
}

}  // namespace contree
