#include "common/http/http_stream_loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <optional>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/files/unique_fd.h"
#include "common/http/base_url.h"
#include "common/http/http_answer_parser.h"
#include "common/http/stream_socket.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

constexpr HttpStreamLoop::Id kWake = 0;  // stands for the eventfd
// A stream that has much to say lets the others speak after so many reads.
constexpr int kReadsPerTurn = 16;

// "GET /v1/x HTTP/1.1 …"; InvalidArgument: a header would break out of its line.
absl::StatusOr<std::string> RequestHead(const BaseUrl& base, const HttpRequest& request) {
  std::string head =
      absl::StrCat(request.method, " ", base.prefix, request.target,
                   " HTTP/1.1\r\nHost: ", base.origin.substr(base.origin.find("://") + 3), "\r\n");
  bool has_encoding = false;
  for (const auto& [name, value] : request.headers) {
    if (absl::StrCat(name, value).find_first_of("\r\n\0", 0, 3) != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the header ", name.substr(0, name.find_first_of("\r\n")), " holds a line break"));
    }
    has_encoding = has_encoding || absl::EqualsIgnoreCase(name, "Accept-Encoding");
    absl::StrAppend(&head, name, ": ", value, "\r\n");
  }
  if (!has_encoding) absl::StrAppend(&head, "Accept-Encoding: identity\r\n");
  absl::StrAppend(&head, "Connection: close\r\n\r\n");
  return head;
}

// One exchange. Of the loop's thread once it is open.
struct Stream {
  Stream(std::vector<SocketAddress> addresses, const TlsTrust* trust, const std::string& host,
         HttpStreamLoop::Events its_events)
      : socket(std::move(addresses), trust, host),
        events(std::move(its_events)),
        parser(events.sink) {}

  enum class Phase { kConnecting, kSending, kReading } phase = Phase::kConnecting;
  StreamSocket socket;
  HttpStreamLoop::Events events;
  HttpAnswerParser parser;
  std::string what;    // names it in errors
  std::string unsent;  // the request
  absl::Duration max_silence;
  absl::Time expires;
  uint32_t armed = 0;  // what epoll watches for
  int armed_attempt = 0;
};

class EpollHttpStreamLoop final : public HttpStreamLoop {
 public:
  EpollHttpStreamLoop(HttpStreamLoopOptions options, UniqueFd epoll, UniqueFd wake)
      : options_(std::move(options)),
        epoll_(std::move(epoll)),
        wake_(std::move(wake)),
        thread_([this] { Run(); }) {}

  ~EpollHttpStreamLoop() override {
    {
      absl::MutexLock lock(&mutex_);
      ends_ = true;
    }
    Wake();
    thread_.join();
  }

  absl::StatusOr<Id> Open(const std::string& base_url, const HttpRequest& request,
                          Events events) override {
    ASSIGN_OR_RETURN(const BaseUrl base, ParseBaseUrl(base_url));
    ASSIGN_OR_RETURN(std::string head, RequestHead(base, request));
    const TlsTrust* trust = nullptr;
    if (base.is_tls) {
      ASSIGN_OR_RETURN(trust, Trust());
    }
    ASSIGN_OR_RETURN(std::vector<SocketAddress> addresses, ResolveHost(base.host, base.port));
    auto stream =
        std::make_unique<Stream>(std::move(addresses), trust, base.host, std::move(events));
    stream->what = absl::StrCat(request.method, " ", base.origin,
                                request.target.substr(0, request.target.find('?')));
    stream->unsent = std::move(head);
    stream->max_silence = request.max_silence;
    stream->expires = absl::Now() + options_.connect_timeout;
    Id id = 0;
    {
      absl::MutexLock lock(&mutex_);
      id = ++last_id_;
      opened_.emplace_back(id, std::move(stream));
    }
    Wake();
    return id;
  }

  void Close(Id id) override {
    {
      absl::MutexLock lock(&mutex_);
      closed_.push_back(id);
    }
    Wake();
  }

 private:
  // The certificates are read when the first https stream is opened.
  absl::StatusOr<const TlsTrust*> Trust() {
    absl::MutexLock lock(&trust_mutex_);
    if (trust_ == nullptr) {
      ASSIGN_OR_RETURN(trust_, TlsTrust::Load(options_.ca_file));
    }
    return trust_.get();
  }

  void Wake() {
    const uint64_t one = 1;
    // Fails only where the counter is full, and then it wakes anyway.
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  }

  void Run() {
    // OpenSSL writes with write().
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    pthread_setname_np(pthread_self(), "http-streams");
    while (TakeInbox()) {
      epoll_event events[64];
      const int count = epoll_wait(epoll_.get(), events, 64, WaitMilliseconds());
      std::vector<Id> eager;
      eager.swap(eager_);
      for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == kWake) {
          uint64_t ignored = 0;
          [[maybe_unused]] const ssize_t got = read(wake_.get(), &ignored, sizeof ignored);
        } else {
          Drive(events[i].data.u64);
        }
      }
      for (const Id id : eager) Drive(id);
      EndWhatExpired();
    }
    std::vector<Id> open;
    for (const auto& [id, stream] : streams_) open.push_back(id);
    for (const Id id : open) End(id, absl::CancelledError("streams are ended"));
  }

  // Takes what other threads asked for; false: the loop ends.
  bool TakeInbox() {
    std::vector<std::pair<Id, std::unique_ptr<Stream>>> opened;
    std::vector<Id> closed;
    bool ends = false;
    {
      absl::MutexLock lock(&mutex_);
      opened.swap(opened_);
      closed.swap(closed_);
      ends = ends_;
    }
    for (auto& [id, stream] : opened) {
      expiries_.emplace(stream->expires, id);
      streams_.emplace(id, std::move(stream));
      if (!ends) Drive(id);
    }
    for (const Id id : closed) End(id, absl::CancelledError("the stream was closed"));
    return !ends;
  }

  int WaitMilliseconds() const {
    if (!eager_.empty()) return 0;
    if (expiries_.empty() || expiries_.top().first == absl::InfiniteFuture()) return -1;
    const absl::Duration left = expiries_.top().first - absl::Now();
    return static_cast<int>(
               absl::ToInt64Milliseconds(std::clamp(left, absl::ZeroDuration(), absl::Hours(1)))) +
           1;
  }

  void EndWhatExpired() {
    const absl::Time now = absl::Now();
    while (!expiries_.empty() && expiries_.top().first <= now) {
      const Id id = expiries_.top().second;
      expiries_.pop();
      const auto found = streams_.find(id);
      if (found == streams_.end()) continue;
      const Stream& stream = *found->second;
      if (stream.expires > now) {  // something came meanwhile
        expiries_.emplace(stream.expires, id);
      } else {
        End(id, absl::UnavailableError(
                    stream.phase == Stream::Phase::kReading
                        ? absl::StrCat(stream.what, ": nothing came for ",
                                       absl::FormatDuration(stream.max_silence))
                        : absl::StrCat(stream.what, ": cannot connect within ",
                                       absl::FormatDuration(options_.connect_timeout))));
      }
    }
  }

  // Moves a stream forward as far as it goes without waiting.
  void Drive(Id id) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    Stream& stream = *found->second;
    for (int reads = 0;;) {
      StreamSocket::Step step;
      switch (stream.phase) {
        case Stream::Phase::kConnecting:
          step = stream.socket.Connect();
          if (step.kind == StreamSocket::Step::kDone) stream.phase = Stream::Phase::kSending;
          break;
        case Stream::Phase::kSending:
          step = stream.socket.Write(stream.unsent);
          if (step.kind != StreamSocket::Step::kDone) break;
          stream.unsent.erase(0, step.bytes);
          if (!stream.unsent.empty()) break;
          stream.phase = Stream::Phase::kReading;
          SetExpiry(id, stream);
          break;
        case Stream::Phase::kReading: {
          if (++reads > kReadsPerTurn) {
            eager_.push_back(id);
            return;
          }
          step = stream.socket.Read(buffer_, sizeof buffer_);
          if (step.kind != StreamSocket::Step::kDone) break;
          std::optional<absl::Status> end = Take(stream, step.bytes);
          if (end.has_value()) return End(id, *std::move(end));
          break;
        }
      }
      if (step.kind == StreamSocket::Step::kFailed) {
        return End(id, absl::Status(step.status.code(),
                                    absl::StrCat(stream.what, ": ", step.status.message())));
      }
      if (step.kind != StreamSocket::Step::kDone)
        return Arm(id, stream, step.kind == StreamSocket::Step::kWaitToRead ? EPOLLIN : EPOLLOUT);
    }
  }

  // `size` bytes are in buffer_, 0: the peer has ended. How the stream ends, if it does.
  std::optional<absl::Status> Take(Stream& stream, size_t size) {
    if (size == 0) {
      if (stream.parser.may_end()) return absl::OkStatus();
      return absl::UnavailableError(
          absl::StrCat(stream.what, ": the connection broke before the answer was complete"));
    }
    // The earlier entry in expiries_ finds the later time.
    stream.expires = absl::Now() + stream.max_silence;
    absl::Status fed = stream.parser.Feed(absl::string_view(buffer_, size));
    if (!fed.ok()) return fed;
    if (stream.parser.is_complete()) return absl::OkStatus();
    return std::nullopt;
  }

  void SetExpiry(Id id, Stream& stream) {
    stream.expires = absl::Now() + stream.max_silence;
    expiries_.emplace(stream.expires, id);
  }

  void Arm(Id id, Stream& stream, uint32_t events) {
    const bool is_new = stream.armed_attempt != stream.socket.attempt();
    if (!is_new && stream.armed == events) return;
    epoll_event event = {};
    event.events = events;
    event.data.u64 = id;
    if (epoll_ctl(epoll_.get(), is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, stream.socket.fd(),
                  &event) != 0) {
      return End(id, absl::ResourceExhaustedError(absl::StrCat(
                         stream.what, ": the system watches no more sockets; raise its limits")));
    }
    stream.armed = events;
    stream.armed_attempt = stream.socket.attempt();
  }

  void End(Id id, const absl::Status& status) {
    const auto found = streams_.find(id);
    if (found == streams_.end()) return;
    const auto on_end = std::move(found->second->events.on_end);
    streams_.erase(found);  // closes the socket
    if (on_end != nullptr) on_end(status);
  }

  const HttpStreamLoopOptions options_;
  const UniqueFd epoll_;
  const UniqueFd wake_;

  absl::Mutex trust_mutex_;
  std::unique_ptr<TlsTrust> trust_ ABSL_GUARDED_BY(trust_mutex_);

  absl::Mutex mutex_;
  Id last_id_ ABSL_GUARDED_BY(mutex_) = kWake;
  std::vector<std::pair<Id, std::unique_ptr<Stream>>> opened_ ABSL_GUARDED_BY(mutex_);
  std::vector<Id> closed_ ABSL_GUARDED_BY(mutex_);
  bool ends_ ABSL_GUARDED_BY(mutex_) = false;

  // The loop's thread's own.
  absl::flat_hash_map<Id, std::unique_ptr<Stream>> streams_;
  // When each may have expired; its own time says whether it has.
  std::priority_queue<std::pair<absl::Time, Id>, std::vector<std::pair<absl::Time, Id>>,
                      std::greater<>>
      expiries_;
  std::vector<Id> eager_;  // have more to read than their turn allowed
  char buffer_[16 << 10];

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpStreamLoop>> HttpStreamLoop::Create(
    const HttpStreamLoopOptions& options) {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kWake;
  if (!epoll.is_open() || !wake.is_open() ||
      epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return absl::ResourceExhaustedError(
        "the system gives no descriptors for event streams; raise its limit (ulimit -n)");
  }
  return std::make_unique<EpollHttpStreamLoop>(options, std::move(epoll), std::move(wake));
}

}  // namespace contree
