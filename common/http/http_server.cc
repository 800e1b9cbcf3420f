#include "common/http/http_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <limits>
#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/http/gzip_encoder.h"
#include "common/http/http_connection.h"
#include "common/http/http_listener.h"
#include "common/http/httplib_exchange.h"
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

constexpr char kRefusal[] =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    "Content-Type: text/plain\r\nContent-Length: 47\r\n\r\n"
    "the server has too many connections: try later\n";

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
    HttpServing serving = {.connection = &connection};
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
  bool ProcessOne(Connection& connection, HttpServing& serving, bool is_last) {
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

  static thread_local HttpServing* current_;
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

thread_local HttpServing* Parser::current_ = nullptr;

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
