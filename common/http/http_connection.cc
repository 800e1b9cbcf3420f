#include "common/http/http_connection.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace contree {
namespace {

constexpr int kReadTimeoutMs = 30'000;
constexpr int kWriteTimeoutMs = 30'000;
constexpr int kCloseTimeoutMs = 500;
// So much of what is written leaves in one piece with what was held.
constexpr size_t kJoinedBytes = 64 * 1024;

// Whether one of `events` came in time; an error or hang-up of the socket counts, the next call
// reports it.
bool Wait(int fd, short events, int timeout_ms) {
  pollfd entry = {.fd = fd, .events = events, .revents = 0};
  int ready;
  do {
    ready = poll(&entry, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

void NumericAddress(const sockaddr_storage& address, socklen_t length, std::string& host,
                    int& port) {
  char host_text[NI_MAXHOST];
  char port_text[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host_text, sizeof host_text,
                  port_text, sizeof port_text, NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
    host = host_text;
    port = atoi(port_text);  // NOLINT(cert-err34-c): getnameinfo wrote it
  }
}

}  // namespace

HttpConnection::HttpConnection(UniqueFd socket) : socket_(std::move(socket)) {
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    NumericAddress(address, length, peer_address_, peer_port_);
  }
}

bool HttpConnection::WaitForRequest(int timeout_ms) {
  if (buffer_begin_ < buffer_end_) return true;
  return Wait(socket_.get(), POLLIN, timeout_ms) && Fill() > 0;
}

ssize_t HttpConnection::Fill() {
  ssize_t got;
  do {
    got = recv(socket_.get(), buffer_, sizeof buffer_, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  buffer_begin_ = 0;
  buffer_end_ = got > 0 ? static_cast<size_t>(got) : 0;
  return got;
}

bool HttpConnection::PeerIsThere() const {
  pollfd entry = {.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
  return poll(&entry, 1, 0) == 0 || (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

void HttpConnection::Shutdown() { shutdown(socket_.get(), SHUT_RD); }

void HttpConnection::CloseGently() {
  shutdown(socket_.get(), SHUT_WR);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kCloseTimeoutMs);
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !Wait(socket_.get(), POLLIN, static_cast<int>(left.count()))) return;
    if (recv(socket_.get(), buffer_, sizeof buffer_, MSG_DONTWAIT) <= 0) return;
  }
}

bool HttpConnection::is_readable() const {
  return buffer_begin_ < buffer_end_ || Wait(socket_.get(), POLLIN, kReadTimeoutMs);
}

bool HttpConnection::is_writable() const { return Wait(socket_.get(), POLLOUT, kWriteTimeoutMs); }

ssize_t HttpConnection::read(char* buffer, size_t size) {
  if (buffer_begin_ == buffer_end_) {
    ssize_t got = Fill();  // mostly it is there already
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!Wait(socket_.get(), POLLIN, kReadTimeoutMs)) return -1;
      got = Fill();
    }
    if (got <= 0) return got;
  }
  const size_t taken = std::min({size, buffer_end_ - buffer_begin_, head_bytes_left_});
  if (taken == 0) return -1;  // the head is too long
  memcpy(buffer, buffer_ + buffer_begin_, taken);
  buffer_begin_ += taken;
  if (head_bytes_left_ != SIZE_MAX) head_bytes_left_ -= taken;
  return static_cast<ssize_t>(taken);
}

ssize_t HttpConnection::write(const char* bytes, size_t size) {
  if (holds_) {
    holds_ = false;
    held_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  if (!held_.empty()) {
    const size_t joined = std::min(size, kJoinedBytes);
    held_.append(bytes, joined);
    return Flush() ? static_cast<ssize_t>(joined) : -1;
  }
  return SendSome(bytes, size);
}

bool HttpConnection::Flush() {
  holds_ = false;
  size_t sent = 0;
  while (sent < held_.size()) {
    const ssize_t n = SendSome(held_.data() + sent, held_.size() - sent);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  const bool is_sent = sent == held_.size();
  held_.clear();
  return is_sent;
}

// At least one byte; -1: the peer is gone, or takes nothing.
ssize_t HttpConnection::SendSome(const char* bytes, size_t size) {
  while (true) {
    const ssize_t sent = send(socket_.get(), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    if (!Wait(socket_.get(), POLLOUT, kWriteTimeoutMs)) return -1;
  }
}

void HttpConnection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = peer_address_;
  port = peer_port_;
}

void HttpConnection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    NumericAddress(address, length, ip, port);
  }
}

}  // namespace contree
