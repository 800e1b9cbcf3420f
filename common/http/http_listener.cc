#include "common/http/http_listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace contree {
namespace {

constexpr int kBacklog = 1024;
constexpr auto kIdleThreadLife = std::chrono::seconds(10);
constexpr int kOutOfResourcesPauseMs = 50;

absl::Status BindError(const std::string& host, int port, int error) {
  return absl::UnavailableError(absl::StrCat(
      "cannot listen on ", host, ":", port, ": ", strerror(error),
      error == EADDRINUSE
          ? "; stop the program that uses the port, or choose another (0 takes a free one)"
          : ""));
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpListener>> HttpListener::Bind(const std::string& host,
                                                                 int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failure != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on \"", host, "\": ", gai_strerror(failure),
                     "; give an address of this machine, such as 127.0.0.1"));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  UniqueFd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) return BindError(host, port, errno);
  // Not SO_REUSEPORT: a second server on the port must fail, not take half of the connections.
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      listen(socket.get(), kBacklog) != 0) {
    return BindError(host, port, errno);
  }
  sockaddr_storage bound = {};
  socklen_t length = sizeof bound;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return BindError(host, port, errno);
  }
  const in_port_t bound_port = bound.ss_family == AF_INET6
                                   ? reinterpret_cast<const sockaddr_in6&>(bound).sin6_port
                                   : reinterpret_cast<const sockaddr_in&>(bound).sin_port;
  UniqueFd wake(eventfd(0, EFD_CLOEXEC));
  if (!wake.is_open()) return absl::ErrnoToStatus(errno, "eventfd");
  return std::unique_ptr<HttpListener>(
      new HttpListener(std::move(socket), std::move(wake), ntohs(bound_port)));
}

HttpListener::HttpListener(UniqueFd socket, UniqueFd wake, int port)
    : socket_(std::move(socket)), wake_(std::move(wake)), port_(port) {}

HttpListener::~HttpListener() {
  Stop([] {});
}

void HttpListener::Run(int max_threads, Serve serve, Serve refuse) {
  serve_ = std::move(serve);
  refuse_ = std::move(refuse);
  acceptor_ = std::thread([this, max_threads] { AcceptLoop(max_threads); });
}

void HttpListener::AcceptLoop(int max_threads) {
  while (true) {
    pollfd entries[2] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                         {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    if (poll(entries, 2, -1) < 0 && errno != EINTR) return;
    const bool ends = entries[1].revents != 0;
    UniqueFd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted.is_open()) {
      // Until then: who has connected already would see a reset if nobody took the connection.
      if (ends) {
        shutdown(socket_.get(), SHUT_RDWR);  // whoever comes now is refused, not left to wait
        return;
      }
      // Out of descriptors or memory: the connection stays in the backlog; do not spin on it.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        poll(&entries[1], 1, kOutOfResourcesPauseMs);
      }
      continue;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    JoinEnded(lock);
    if (static_cast<int>(waiting_.size()) >= idle_) {
      if (static_cast<int>(threads_.size()) >= max_threads) {
        lock.unlock();
        refuse_(std::move(accepted));
        continue;
      }
      const auto self = threads_.emplace(threads_.end());
      *self = std::thread([this, self] { Work(self); });
    }
    waiting_.push_back(std::move(accepted));
    changed_.notify_one();
  }
}

void HttpListener::Work(std::list<std::thread>::iterator self) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait_for(lock, kIdleThreadLife, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (waiting_.empty()) break;  // stopping, or nothing came for long
    UniqueFd socket = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    serve_(std::move(socket));
    lock.lock();
  }
  ended_.splice(ended_.end(), threads_, self);
  changed_.notify_all();
}

void HttpListener::JoinEnded(std::unique_lock<std::mutex>& lock) {
  std::list<std::thread> ended;
  ended.swap(ended_);
  lock.unlock();
  for (std::thread& thread : ended) thread.join();
  lock.lock();
}

void HttpListener::StopAccepting() {
  const std::lock_guard<std::mutex> lock(acceptor_mutex_);
  if (!acceptor_.joinable()) return;
  const uint64_t one = 1;
  if (write(wake_.get(), &one, sizeof one) != sizeof one)
    return;  // cannot be: the counter is far from full
  acceptor_.join();
}

void HttpListener::Stop(const std::function<void()>& interrupt) {
  StopAccepting();
  std::unique_lock<std::mutex> lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  lock.unlock();
  interrupt();
  lock.lock();
  changed_.wait(lock, [this] { return threads_.empty(); });
  JoinEnded(lock);
}

}  // namespace contree
