#include "common/http/http_connection.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
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

// Waits for what a step of TLS asks for. False: it asks for nothing, or not in time.
bool WaitFor(int fd, ssize_t step, int timeout_ms) {
  if (step == TlsSession::kWaitToRead) return Wait(fd, POLLIN, timeout_ms);
  return step == TlsSession::kWaitToWrite && Wait(fd, POLLOUT, timeout_ms);
}

// The first byte of what a client of TLS sends.
constexpr char kHandshakeRecord = 0x16;
constexpr char kNoTls[] =
    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    "Content-Length: 51\r\n\r\nthis port speaks TLS: begin the address with https\n";

using Clock = std::chrono::steady_clock;

int MsUntil(Clock::time_point end) {
  return static_cast<int>(std::max<int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count()));
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

HttpConnection::HttpConnection(UniqueFd socket, const TlsServer* tls) : socket_(std::move(socket)) {
  if (tls != nullptr) {
    fcntl(socket_.get(), F_SETFL, O_NONBLOCK);
    tls_ = tls->NewSession(socket_.get());
  }
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    NumericAddress(address, length, peer_address_, peer_port_);
  }
}

bool HttpConnection::HandShake(int timeout_ms) {
  if (tls_ == nullptr) return false;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  char first = 0;
  if (!Wait(socket_.get(), POLLIN, timeout_ms) ||
      recv(socket_.get(), &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1) {
    return false;
  }
  if (first != kHandshakeRecord) {
    tls_ = nullptr;
    send(socket_.get(), kNoTls, sizeof kNoTls - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    CloseGently();
    return false;
  }
  ssize_t step = 0;
  do {
    step = tls_->Accept();
  } while (step <= 0 && WaitFor(socket_.get(), step, MsUntil(end)));
  return step > 0;
}

bool HttpConnection::WaitForRequest(int timeout_ms) {
  if (buffer_begin_ < buffer_end_) return true;
  // Mostly it is not there yet.
  return (tls_ != nullptr || Wait(socket_.get(), POLLIN, timeout_ms)) && Fill(timeout_ms) > 0;
}

bool HttpConnection::PeerIsThere() const {
  pollfd entry = {.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
  return poll(&entry, 1, 0) == 0 || (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

void HttpConnection::Shutdown() { shutdown(socket_.get(), SHUT_RD); }

void HttpConnection::CloseGently() {
  if (tls_ != nullptr) tls_->End();
  shutdown(socket_.get(), SHUT_WR);
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(kCloseTimeoutMs);
  while (true) {
    const int left_ms = MsUntil(end);
    if (left_ms == 0 || !Wait(socket_.get(), POLLIN, left_ms)) return;
    if (recv(socket_.get(), buffer_, sizeof buffer_, MSG_DONTWAIT) <= 0) return;
  }
}

bool HttpConnection::is_readable() const {
  // With TLS, reading itself waits: bytes that came may be in nobody's sight.
  return buffer_begin_ < buffer_end_ || tls_ != nullptr ||
         Wait(socket_.get(), POLLIN, kReadTimeoutMs);
}

bool HttpConnection::is_writable() const { return Wait(socket_.get(), POLLOUT, kWriteTimeoutMs); }

ssize_t HttpConnection::TryRead(char* buffer, size_t size) {
  if (tls_ != nullptr) return tls_->Read(buffer, size);
  while (true) {
    const ssize_t got = recv(socket_.get(), buffer, size, MSG_DONTWAIT);
    if (got >= 0) return got;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return TlsSession::kWaitToRead;
    if (errno != EINTR) return TlsSession::kBroken;
  }
}

ssize_t HttpConnection::TryWrite(const char* bytes, size_t size) {
  if (tls_ != nullptr) return tls_->Write(bytes, size);
  while (true) {
    const ssize_t sent = send(socket_.get(), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return TlsSession::kWaitToWrite;
    if (errno != EINTR) return TlsSession::kBroken;
  }
}

ssize_t HttpConnection::Fill(int timeout_ms) {
  ssize_t got = TryRead(buffer_, sizeof buffer_);
  if (got < 0) {
    const Clock::time_point end = Clock::now() + std::chrono::milliseconds(timeout_ms);
    while (got < 0 && WaitFor(socket_.get(), got, MsUntil(end))) {
      got = TryRead(buffer_, sizeof buffer_);
    }
  }
  buffer_begin_ = 0;
  buffer_end_ = got > 0 ? static_cast<size_t>(got) : 0;
  return std::max<ssize_t>(got, -1);
}

ssize_t HttpConnection::read(char* buffer, size_t size) {
  if (buffer_begin_ == buffer_end_) {
    const ssize_t got = Fill(kReadTimeoutMs);
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
  ssize_t sent;
  do {
    sent = TryWrite(bytes, size);
  } while (sent < 0 && WaitFor(socket_.get(), sent, kWriteTimeoutMs));
  return sent > 0 ? sent : -1;
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
