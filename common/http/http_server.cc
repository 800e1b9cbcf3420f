#include "common/http/http_server.h"

#include <fcntl.h>
#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/http/gzip_encoder.h"
#include "common/http/http_connection.h"
#include "common/http/http_listener.h"
#include "common/http/tls_server.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

constexpr size_t kMaxHeadBytes = 64 * 1024;
constexpr int kIdleTimeoutMs = 75'000;
// When the server stops: for the first request of a connection that was just made, and for what
// still arrives of a request that has begun.
constexpr auto kFirstRequestTimeout = std::chrono::milliseconds(200);
constexpr auto kRestOfRequestTimeout = std::chrono::seconds(1);
// An unread body of up to so many bytes is read and dropped; a longer one closes the connection.
constexpr size_t kMaxDroppedBytes = 256 * 1024;
constexpr size_t kMinCompressedBytes = 1024;

constexpr char kRefusal[] =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    "Content-Type: text/plain\r\nContent-Length: 47\r\n\r\n"
    "the server has too many connections: try later\n";

bool IsNumber(absl::string_view text) {
  return !text.empty() && text.size() <= 18 &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(c); });
}

// What one connection's thread knows about the request that it serves.
struct Serving {
  HttpConnection* connection = nullptr;
  bool close = false;  // after this answer
  bool accepts_gzip = false;
  bool detached = false;  // the connection is somebody else's now
};

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

class HttplibExchange final : public HttpExchange {
 public:
  // `reader` is null for methods that have no body.
  HttplibExchange(const httplib::Request& request, httplib::Response& response,
                  const httplib::ContentReader* reader, Serving& serving,
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

  // Whether the head frames the body in one way only; anything else is how requests are smuggled.
  bool HasClearFraming() const {
    const size_t lengths = request_.get_header_value_count("Content-Length");
    if (request_.has_header("Transfer-Encoding")) {
      return lengths == 0 && request_.get_header_value_count("Transfer-Encoding") == 1 &&
             absl::EqualsIgnoreCase(request_.get_header_value("Transfer-Encoding"), "chunked");
    }
    return lengths == 0 || (lengths == 1 && IsNumber(request_.get_header_value("Content-Length")));
  }
  bool HasUnexpectedBody() const { return has_body_ && reader_ == nullptr; }

  const std::string& method() const override { return request_.method; }
  const std::string& path() const override { return request_.path; }
  const std::string& remote_address() const override { return serving_.connection->peer_address(); }
  std::optional<std::string> Query(const std::string& name) const override {
    const auto found = request_.params.find(name);
    if (found == request_.params.end()) return std::nullopt;
    return found->second;
  }
  std::vector<std::string> QueryAll(const std::string& name) const override {
    std::vector<std::string> values;
    const auto [begin, end] = request_.params.equal_range(name);
    for (auto it = begin; it != end; ++it) values.push_back(it->second);
    return values;
  }
  std::optional<std::string> Header(const std::string& name) const override {
    const auto found = request_.headers.find(name);
    if (found == request_.headers.end()) return std::nullopt;
    return found->second;
  }

  absl::StatusOr<std::string> ReadBody(size_t max_bytes) override {
    std::string body;
    absl::Status status = ReadBody(max_bytes, [&body](absl::string_view bytes) {
      body.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return body;
  }

  absl::Status ReadBody(size_t max_bytes,
                        absl::FunctionRef<absl::Status(absl::string_view)> sink) override {
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

  void SetHeader(const std::string& name, const std::string& value) override {
    response_.set_header(name, value);
  }
  void Respond(int status) override {
    response_.status = status;
    answered_ = true;
  }
  void Respond(int status, const std::string& content_type, std::string body) override {
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
  void RespondStream(int status, const std::string& content_type,
                     absl::AnyInvocable<void(HttpResponseStream&)> produce) override {
    response_.status = status;
    answered_ = true;
    std::shared_ptr<GzipEncoder> encoder;
    if (gzip_) {
      response_.set_header("Content-Encoding", "gzip");
      encoder = std::make_shared<GzipEncoder>();
    }
    // cpp-httplib copies its provider.
    auto shared =
        std::make_shared<absl::AnyInvocable<void(HttpResponseStream&)>>(std::move(produce));
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

  void RespondDetached(
      int status, const std::string& content_type,
      absl::AnyInvocable<void(std::unique_ptr<HttpDetachedStream>)> take) override {
    response_.status = status;
    answered_ = true;
    if (gzip_) response_.set_header("Content-Encoding", "gzip");
    response_.set_header("Connection", "close");
    auto shared = std::make_shared<absl::AnyInvocable<void(std::unique_ptr<HttpDetachedStream>)>>(
        std::move(take));
    response_.set_chunked_content_provider(
        content_type,
        [shared, &serving = serving_, gzip = gzip_](size_t /*offset*/, httplib::DataSink&) {
          serving.detached = serving.close = true;
          (*shared)(std::make_unique<DetachedStream>(
              serving.connection->Release(), gzip ? std::make_unique<GzipEncoder>() : nullptr));
          return false;  // the library's part ends here
        });
  }

  // After the handler: an answer there is, and the connection stays in step with the client.
  void Finish() {
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

  void Close() {
    serving_.close = true;
    response_.set_header("Connection", "close");
  }

 private:
  const httplib::Request& request_;
  httplib::Response& response_;
  const httplib::ContentReader* const reader_;
  Serving& serving_;
  const std::atomic<bool>& stopping_;
  const bool gzip_;
  bool has_body_ = false;
  bool reading_began_ = false;
  bool body_is_read_ = false;
  bool answered_ = false;
};

// cpp-httplib's parser and writer; its sockets and threads are not used.
class Parser final : public httplib::Server {
 public:
  Parser(HttpHandler handler, const HttpServerOptions& options, int listening_socket)
      : handler_(std::move(handler)), compress_(options.compress), probe_path_(options.probe_path) {
    svr_sock_ = listening_socket;  // "none" would make it cut answers short
    set_keep_alive_max_count(std::numeric_limits<int>::max());
    set_keep_alive_timeout(kIdleTimeoutMs / 1000);  // what it tells clients
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS") {
        Handle(request, response, nullptr);
        return HandlerResponse::Handled;
      }
      return HandlerResponse::Unhandled;
    });
    const auto with_body = [this](const httplib::Request& request, httplib::Response& response,
                                  const httplib::ContentReader& reader) {
      Handle(request, response, &reader);
    };
    constexpr char kAnything[] = R"([\s\S]*)";
    Post(kAnything, with_body);
    Put(kAnything, with_body);
    Patch(kAnything, with_body);
    Delete(kAnything, with_body);
    set_exception_handler(
        [](const httplib::Request&, httplib::Response& response, const std::exception_ptr&) {
          LogError("an exception reached the HTTP server");
          response.status = 500;
          response.set_content("internal error\n", "text/plain");
        });
  }

  // `handshake_ms`: for TLS; 0: there is none.
  void Serve(HttpConnection& connection, int handshake_ms) {
    Serving serving = {.connection = &connection};
    current_ = &serving;
    SetState(connection, State::kFresh);
    const bool is_open = handshake_ms == 0 || connection.HandShake(handshake_ms);
    while (is_open && connection.WaitForRequest(TimeoutMs(connection))) {
      const bool is_last = stopping_ || retiring_;
      serving.close = true;  // unless the head can be read: what follows a broken one is no request
      connection.LimitHead(kMaxHeadBytes);
      SetState(connection, State::kAnswering);
      if (!ProcessOne(connection, serving, is_last) || serving.close || is_last) {
        if (!serving.detached) connection.CloseGently();
        break;
      }
      SetState(connection, State::kIdle);
    }
    current_ = nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    connections_.erase(&connection);
    changed_.notify_all();
  }

  void BeginRetirement() { retiring_ = true; }

  // Until no request has come for so long, counted from now on.
  void AwaitQuiet(absl::Duration quiet, absl::Duration longest) {
    std::unique_lock<std::mutex> lock(mutex_);
    const absl::Time begin = absl::Now();
    while (true) {
      const absl::Duration left =
          std::min(std::max(begin, last_request_) + quiet, begin + longest) - absl::Now();
      if (left <= absl::ZeroDuration()) return;
      changed_.wait_for(lock, absl::ToChronoMicroseconds(left + absl::Microseconds(1)));
    }
  }

  void AwaitAnswers(absl::Duration grace) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, kFirstRequestTimeout, [this] { return !HasAny(State::kFresh); });
    changed_.wait_for(lock, absl::ToChronoMicroseconds(grace),
                      [this] { return !HasAny(State::kAnswering); });
  }

  // Makes all that Serve end, soon.
  void Stop() {
    stopping_ = true;
    std::unique_lock<std::mutex> lock(mutex_);
    ShutDown({State::kIdle});
    changed_.wait_for(lock, kFirstRequestTimeout, [this] { return !HasAny(State::kFresh); });
    ShutDown({State::kIdle, State::kFresh});
    changed_.wait_for(lock, kRestOfRequestTimeout, [this] { return connections_.empty(); });
    ShutDown({State::kIdle, State::kFresh, State::kAnswering});
  }

 private:
  // What a connection waits for: its first request, the next one, or nothing.
  enum class State { kFresh, kIdle, kAnswering };

  void SetState(HttpConnection& connection, State state) {
    const std::lock_guard<std::mutex> lock(mutex_);
    connections_[&connection] = state;
    if (stopping_ || retiring_) changed_.notify_all();
  }

  // Nothing new is waited for once the server stops; whoever waits already is woken by ShutDown.
  int TimeoutMs(HttpConnection& connection) {
    if (!stopping_) return kIdleTimeoutMs;
    const std::lock_guard<std::mutex> lock(mutex_);
    return connections_[&connection] == State::kFresh
               ? static_cast<int>(std::chrono::milliseconds(kFirstRequestTimeout).count())
               : 0;
  }

  // Under mutex_.
  bool HasAny(State state) const {
    return std::any_of(connections_.begin(), connections_.end(),
                       [state](const auto& entry) { return entry.second == state; });
  }
  void ShutDown(std::initializer_list<State> states) {
    for (const auto& [connection, state] : connections_) {
      if (std::find(states.begin(), states.end(), state) != states.end()) connection->Shutdown();
    }
  }

  // A template because later versions take the addresses too. False: close the connection.
  template <typename Connection>
  bool ProcessOne(Connection& connection, Serving& serving, bool is_last) {
    bool client_closes = false;
    const std::function<void(httplib::Request&)> on_head = [&](httplib::Request& request) {
      connection.HeadIsRead();
      serving.close = false;
      serving.accepts_gzip = AcceptsGzip(request.get_header_value("Accept-Encoding"));
      // Answers are compressed here, where streams are flushed, and are whole: ranges are not
      // supported.
      request.headers.erase("Accept-Encoding");
      if (connection.is_tls()) {
        request.headers.erase("X-Forwarded-Proto");
        request.headers.emplace("X-Forwarded-Proto", "https");
      }
      request.ranges.clear();
    };
    bool served;
    if constexpr (requires { this->process_request(connection, false, client_closes, on_head); }) {
      served = this->process_request(connection, is_last, client_closes, on_head);
    } else {
      std::string local_address;
      int remote_port = 0;
      int local_port = 0;
      std::string remote_address;
      connection.get_remote_ip_and_port(remote_address, remote_port);
      connection.get_local_ip_and_port(local_address, local_port);
      served = this->process_request(connection, remote_address, remote_port, local_address,
                                     local_port, is_last, client_closes, on_head);
    }
    return connection.Flush() && served && !client_closes;
  }

  void Handle(const httplib::Request& request, httplib::Response& response,
              const httplib::ContentReader* reader) {
    if (request.path != probe_path_) {
      const std::lock_guard<std::mutex> lock(mutex_);
      last_request_ = absl::Now();
    }
    HttplibExchange exchange(request, response, reader, *current_, stopping_, compress_);
    if (!exchange.HasClearFraming() || exchange.HasUnexpectedBody()) {
      exchange.Respond(400, "text/plain",
                       exchange.HasUnexpectedBody()
                           ? absl::StrCat("a ", request.method, " request has no body here\n")
                           : "the length of the request's body is unclear\n");
      exchange.Close();
      return;
    }
    handler_(exchange);
    exchange.Finish();
  }

  static thread_local Serving* current_;
  const HttpHandler handler_;
  const bool compress_;
  const std::string probe_path_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> retiring_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;                 // told of changes while it retires or stops
  std::map<HttpConnection*, State> connections_;    // guarded by mutex_
  absl::Time last_request_ = absl::InfinitePast();  // guarded by mutex_
};

thread_local Serving* Parser::current_ = nullptr;

class HttplibServer final : public HttpServer {
 public:
  HttplibServer(const HttpServerOptions& options, HttpHandler handler,
                std::unique_ptr<HttpListener> listener)
      : host_(options.host),
        tls_(options.tls),
        handshake_timeout_ms_(
            static_cast<int>(absl::ToInt64Milliseconds(options.handshake_timeout))),
        listener_(std::move(listener)),
        parser_(std::move(handler), options, listener_->socket()) {
    listener_->Run(
        std::max(1, options.max_connections), [this](UniqueFd socket) { Serve(std::move(socket)); },
        [this](UniqueFd socket) {
          if (tls_ != nullptr) return;  // a handshake would take the time of all others
          send(socket.get(), kRefusal, strlen(kRefusal), MSG_NOSIGNAL | MSG_DONTWAIT);
          shutdown(socket.get(), SHUT_WR);
          // What the client sent already would turn the close into a reset that drops the answer.
          char dropped[4096];
          while (recv(socket.get(), dropped, sizeof dropped, MSG_DONTWAIT) > 0) {
          }
        });
  }
  ~HttplibServer() override { Stop(); }

  int port() const override { return listener_->port(); }
  std::string url() const override {
    const bool is_ipv6 = absl::StrContains(host_, ':');
    return absl::StrCat(tls_ == nullptr ? "http://" : "https://", is_ipv6 ? "[" : "", host_,
                        is_ipv6 ? "]" : "", ":", port());
  }
  void Retire(absl::Duration quiet, absl::Duration longest, absl::Duration grace) override {
    parser_.BeginRetirement();
    parser_.AwaitQuiet(quiet, longest);
    listener_->StopAccepting();
    parser_.AwaitAnswers(grace);
  }
  void Stop() override {
    listener_->Stop([this] { parser_.Stop(); });
  }

 private:
  void Serve(UniqueFd socket) {
    HttpConnection connection(std::move(socket), tls_.get());
    parser_.Serve(connection, tls_ == nullptr ? 0 : handshake_timeout_ms_);
  }

  const std::string host_;
  const std::shared_ptr<const TlsServer> tls_;
  const int handshake_timeout_ms_;
  const std::unique_ptr<HttpListener> listener_;
  Parser parser_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                              HttpHandler handler) {
  auto listener = HttpListener::Bind(options.host, options.port);
  if (!listener.ok()) return listener.status();
  return std::make_unique<HttplibServer>(options, std::move(handler), *std::move(listener));
}

}  // namespace contree
