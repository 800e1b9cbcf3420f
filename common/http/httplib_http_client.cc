#include "common/http/httplib_http_client.h"

#include <fcntl.h>
#include <httplib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <optional>
#include <stop_token>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/http/base_url.h"
#include "common/http/received_bytes.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

// An interruption may come between two steps of a connect, where there is nothing to interrupt yet:
// it is repeated.
constexpr absl::Duration kInterruptAgain = absl::Milliseconds(20);
// How often a server that may send only so much is looked at.
constexpr absl::Duration kLookAgain = absl::Milliseconds(10);
// What cpp-httplib is given for "no limit".
constexpr absl::Duration kUnlimited = absl::Hours(24 * 30);

std::string Path(absl::string_view target) {
  return std::string(target.substr(0, target.find('?')));
}

std::chrono::microseconds ForHttplib(absl::Duration limit) {
  return absl::ToChronoMicroseconds(std::clamp(limit, absl::Milliseconds(1), kUnlimited));
}

// The host of "https://HOST[:PORT]", without the brackets of an IPv6 address.
std::string HostOf(absl::string_view origin) {
  origin.remove_prefix(origin.find("://") + 3);
  if (absl::StartsWith(origin, "[")) return std::string(origin.substr(1, origin.find(']') - 1));
  return std::string(origin.substr(0, origin.find(':')));
}

HttpResponse ToHead(const httplib::Response& response) {
  HttpResponse head;
  head.status = response.status;
  head.headers.assign(response.headers.begin(), response.headers.end());
  return head;
}

}  // namespace

// One cpp-httplib client, used by one exchange at a time, and a second descriptor of its socket, so
// that another thread can break the connection at any time without touching the client.
class HttplibHttpClient::Connection {
 public:
  Connection(const HttplibHttpClientOptions& options, const std::string& origin) : client_(origin) {
    client_.set_keep_alive(true);
    client_.set_follow_location(false);
    client_.enable_server_certificate_verification(true);
    if (!options.ca_file.empty()) client_.set_ca_cert_path(options.ca_file);
    if (!options.dial_address.empty()) {
      client_.set_hostname_addr_map({{HostOf(origin), options.dial_address}});
    }
    client_.set_socket_options([this](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
      absl::MutexLock lock(&mutex_);
      socket_.Reset(fcntl(socket, F_DUPFD_CLOEXEC, 0));
      received_before_ = 0;
    });
  }

  void BeginExchange() {
    absl::MutexLock lock(&mutex_);
    received_before_ = socket_.is_open() ? ReceivedBytes(socket_.get()) : 0;
  }
  // Since BeginExchange.
  uint64_t Received() {
    absl::MutexLock lock(&mutex_);
    return socket_.is_open() ? ReceivedBytes(socket_.get()) - received_before_ : 0;
  }

  httplib::Client& client() { return client_; }

  void Interrupt() {
    absl::MutexLock lock(&mutex_);
    if (socket_.is_open()) shutdown(socket_.get(), SHUT_RDWR);
  }

  absl::Time idle_since = absl::InfinitePast();

 private:
  absl::Mutex mutex_;
  UniqueFd socket_ ABSL_GUARDED_BY(mutex_);
  uint64_t received_before_ ABSL_GUARDED_BY(mutex_) = 0;
  httplib::Client client_;
};

namespace {

// While it lives, interrupts `connection` at the deadline, when a stop is requested, or when more
// than max_undelivered bytes (0: no bound) were received and not delivered.
template <typename Connection>
class Interruption {
 public:
  Interruption(TimerQueue& timers, Connection& connection, const CallContext& context,
               size_t max_undelivered, const std::atomic<uint64_t>& delivered)
      : timers_(timers),
        connection_(connection),
        max_undelivered_(max_undelivered),
        delivered_(delivered) {
    connection_.BeginExchange();
    if (max_undelivered_ != 0) LookAgain();
    if (context.deadline != absl::InfiniteFuture()) {
      deadline_ =
          timers_.Add(context.deadline, [this] { Begin(absl::StatusCode::kDeadlineExceeded); });
    }
    on_stop_.emplace(context.stop, Stop{this});
  }

  ~Interruption() {
    on_stop_.reset();  // waits for one that runs
    std::optional<TimerQueue::Id> again;
    std::optional<TimerQueue::Id> look;
    {
      absl::MutexLock lock(&mutex_);
      ended_ = true;
      again = again_;
      look = look_;
    }
    if (look.has_value()) timers_.Cancel(*look);
    if (deadline_.has_value()) timers_.Cancel(*deadline_);
    // A repetition that ran meanwhile saw ended_; an earlier one has left its successor in again_.
    if (again.has_value()) timers_.Cancel(*again);
  }
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  // OK: not interrupted.
  absl::StatusCode why() {
    absl::MutexLock lock(&mutex_);
    return why_;
  }

 private:
  struct Stop {
    Interruption* self;
    void operator()() const { self->Begin(absl::StatusCode::kCancelled); }
  };

  void Begin(absl::StatusCode why) {
    {
      absl::MutexLock lock(&mutex_);
      if (why_ != absl::StatusCode::kOk) return;
      why_ = why;
    }
    Interrupt();
  }

  void LookAgain() {
    absl::MutexLock lock(&mutex_);
    if (!ended_) look_ = timers_.Add(absl::Now() + kLookAgain, [this] { Look(); });
  }

  void Look() {
    const uint64_t delivered = delivered_;
    if (connection_.Received() > max_undelivered_ + delivered + delivered / 8) {
      Begin(absl::StatusCode::kResourceExhausted);
    } else {
      LookAgain();
    }
  }

  void Interrupt() {
    absl::MutexLock lock(&mutex_);
    if (ended_) return;
    connection_.Interrupt();
    again_ = timers_.Add(absl::Now() + kInterruptAgain, [this] { Interrupt(); });
  }

  TimerQueue& timers_;
  Connection& connection_;
  const size_t max_undelivered_;
  const std::atomic<uint64_t>& delivered_;
  std::optional<TimerQueue::Id> deadline_;
  absl::Mutex mutex_;
  absl::StatusCode why_ ABSL_GUARDED_BY(mutex_) = absl::StatusCode::kOk;
  std::optional<TimerQueue::Id> again_ ABSL_GUARDED_BY(mutex_);
  std::optional<TimerQueue::Id> look_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<std::stop_callback<Stop>> on_stop_;
};

absl::Status ToStatus(httplib::Error error, const std::string& origin, const HttpRequest& request) {
  const std::string what = absl::StrCat(request.method, " ", origin, Path(request.target));
  switch (error) {
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout:
    case httplib::Error::BindIPAddress:
      return WithNothingWasSent(absl::UnavailableError(absl::StrCat(
          what, ": cannot connect; check that the address is right and that the server runs")));
    case httplib::Error::SSLConnection:
      return WithNothingWasSent(
          absl::UnavailableError(absl::StrCat(what, ": the TLS handshake failed")));
    case httplib::Error::SSLServerVerification:
      return absl::UnauthenticatedError(
          absl::StrCat(what,
                       ": the server's certificate does not verify; check the address, the clock "
                       "and the trusted certificates"));
    case httplib::Error::SSLLoadingCerts:
      return absl::FailedPreconditionError(
          absl::StrCat(what, ": the trusted certificates cannot be read; install ca-certificates"));
    case httplib::Error::Write:
      return absl::UnavailableError(
          absl::StrCat(what, ": the connection broke while the request was sent"));
    default:
      return absl::UnavailableError(
          absl::StrCat(what, ": the connection broke before the answer was complete"));
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttplibHttpClient>> HttplibHttpClient::Create(
    const HttplibHttpClientOptions& options) {
  ASSIGN_OR_RETURN(BaseUrl base, ParseBaseUrl(options.base_url));
  return std::unique_ptr<HttplibHttpClient>(
      new HttplibHttpClient(options, std::move(base.origin), std::move(base.prefix)));
}

HttplibHttpClient::HttplibHttpClient(HttplibHttpClientOptions options, std::string origin,
                                     std::string prefix)
    : options_(std::move(options)), origin_(std::move(origin)), prefix_(std::move(prefix)) {}

HttplibHttpClient::~HttplibHttpClient() = default;

absl::StatusOr<std::unique_ptr<HttplibHttpClient::Connection>> HttplibHttpClient::Take(
    const CallContext& context) {
  std::vector<std::unique_ptr<Connection>> stale;  // closed after the lock is gone
  const std::stop_callback on_stop(context.stop, [this] {
    absl::MutexLock lock(&mutex_);
    returned_.SignalAll();
  });
  absl::MutexLock lock(&mutex_);
  while (in_use_ >= options_.max_connections) {
    if (context.stop.stop_requested())
      return absl::CancelledError("cancelled while waiting for a connection");
    if (returned_.WaitWithDeadline(&mutex_, context.deadline) &&
        in_use_ >= options_.max_connections) {
      return absl::DeadlineExceededError(absl::StrCat("all ", options_.max_connections,
                                                      " connections to ", origin_,
                                                      " were busy until the deadline"));
    }
  }
  ++in_use_;
  if (!idle_.empty() && idle_.back()->idle_since + options_.max_idle < absl::Now())
    stale.swap(idle_);
  if (idle_.empty()) return std::make_unique<Connection>(options_, origin_);
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  return connection;
}

void HttplibHttpClient::GiveBack(std::unique_ptr<Connection> connection, bool reusable) {
  connection->idle_since = absl::Now();
  absl::MutexLock lock(&mutex_);
  --in_use_;
  returned_.Signal();
  if (reusable && idle_.size() < options_.max_idle_connections)
    idle_.push_back(std::move(connection));
}

absl::Status HttplibHttpClient::Exchange(const HttpRequest& request, const CallContext& context,
                                         const HttpResponseSink& sink) {
  if (context.stop.stop_requested())
    return absl::CancelledError("cancelled before the request was sent");
  const absl::Duration remaining = context.deadline - absl::Now();
  if (remaining <= absl::ZeroDuration()) {
    return absl::DeadlineExceededError("the deadline passed before the request was sent");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> connection, Take(context));
  httplib::Client& client = connection->client();
  client.set_connection_timeout(ForHttplib(std::min(remaining, options_.connect_timeout)));
  client.set_read_timeout(ForHttplib(std::min(remaining, request.max_silence)));
  client.set_write_timeout(ForHttplib(std::min(remaining, request.max_silence)));

  httplib::Request sent;
  sent.method = request.method;
  sent.path = absl::StrCat(prefix_, request.target);
  for (const auto& [name, value] : request.headers) sent.headers.emplace(name, value);
  if (!sent.has_header("Accept-Encoding")) sent.headers.emplace("Accept-Encoding", "gzip");
  if (!request.content_type.empty()) sent.headers.emplace("Content-Type", request.content_type);
  absl::Status sink_status;
  if (request.next_body_piece == nullptr) {
    sent.body = request.body;
  } else {
    sent.is_chunked_content_provider_ = !request.body_size.has_value();
    sent.content_length_ = request.body_size.value_or(0);
    if (!request.body_size.has_value()) sent.headers.emplace("Transfer-Encoding", "chunked");
    sent.content_provider_ = [&](size_t offset, size_t, httplib::DataSink& to) {
      absl::StatusOr<std::string> piece = request.next_body_piece();
      if (piece.ok() && request.body_size.has_value() &&
          (piece->empty() || offset + piece->size() > *request.body_size)) {
        piece = absl::InvalidArgumentError(
            absl::StrCat("the body is not ", *request.body_size, " bytes long, as was said"));
      }
      if (!piece.ok()) {
        sink_status = piece.status();
        return false;
      }
      if (piece->empty()) {
        to.done();
        return true;
      }
      return to.write(piece->data(), piece->size());
    };
  }
  bool head_seen = false;
  const auto on_head = [&](const httplib::Response& head) {
    head_seen = true;
    if (sink.on_head != nullptr) sink_status = sink.on_head(ToHead(head));
    return sink_status.ok();
  };
  sent.response_handler = on_head;
  std::atomic<uint64_t> delivered = 0;
  sent.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    delivered += size;
    if (size > 0 && sink.on_data != nullptr)
      sink_status = sink.on_data(absl::string_view(data, size));
    return sink_status.ok();
  };

  httplib::Response response;
  auto error = httplib::Error::Success;
  bool sent_ok = false;
  absl::StatusCode why = absl::StatusCode::kOk;
  {
    Interruption<Connection> interruption(timers_, *connection, context,
                                          options_.max_undelivered_bytes, delivered);
    try {
      sent_ok = client.send(sent, response, error);
    } catch (const std::exception& thrown) {
      sink_status = absl::InternalError(absl::StrCat("cpp-httplib: ", thrown.what()));
    }
    why = interruption.why();
  }
  // An answer without a body (204, HEAD) goes past the handler.
  if (sent_ok && !head_seen) on_head(response);
  GiveBack(std::move(connection), sent_ok && sink_status.ok() && why == absl::StatusCode::kOk);
  if (!sink_status.ok()) return sink_status;
  if (sent_ok) return absl::OkStatus();
  if (why == absl::StatusCode::kCancelled) {
    return absl::CancelledError(
        absl::StrCat(request.method, " ", origin_, Path(request.target), " was cancelled"));
  }
  if (why == absl::StatusCode::kResourceExhausted) {
    return absl::ResourceExhaustedError(
        absl::StrCat(request.method, " ", origin_, Path(request.target),
                     ": the server sends and sends, but no answer; it was broken off"));
  }
  absl::Status status = ToStatus(error, origin_, request);
  if (why == absl::StatusCode::kDeadlineExceeded || absl::Now() >= context.deadline) {
    return absl::DeadlineExceededError(absl::StrCat(request.method, " ", origin_,
                                                    Path(request.target),
                                                    " had no complete answer before the deadline"));
  }
  return status;
}

}  // namespace contree
