#include "common/http/stream_socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace contree {
namespace {

using Step = StreamSocket::Step;

bool IsIpAddress(const std::string& host) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

Step Failed(absl::Status status) { return {.kind = Step::kFailed, .status = std::move(status)}; }

Step Broke(int error) {
  return Failed(absl::UnavailableError(absl::StrCat("the connection broke", error == 0 ? "" : ": ",
                                                    error == 0 ? "" : strerror(error))));
}

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

absl::StatusOr<std::vector<SocketAddress>> ResolveHost(const std::string& host, int port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
  if (IsIpAddress(host)) hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), absl::StrCat(port).c_str(), &hints, &found);
      error != 0) {
    return absl::UnavailableError(
        absl::StrCat("the host name ", host, " does not resolve: ", gai_strerror(error)));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    SocketAddress& address = addresses.emplace_back();
    address.length = each->ai_addrlen;
    memcpy(&address.address, each->ai_addr, each->ai_addrlen);
  }
  freeaddrinfo(found);
  return addresses;
}

void TlsTrust::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

absl::StatusOr<std::unique_ptr<TlsTrust>> TlsTrust::Load(const std::string& ca_file) {
  std::unique_ptr<TlsTrust> trust(new TlsTrust(SSL_CTX_new(TLS_client_method())));
  SSL_CTX* const context = trust->context();
  const bool loaded =
      context != nullptr &&
      (ca_file.empty() ? SSL_CTX_set_default_verify_paths(context)
                       : SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr)) == 1;
  if (!loaded) {
    ERR_clear_error();
    return absl::FailedPreconditionError(absl::StrCat(
        "the trusted certificates", ca_file.empty() ? "" : " in ", ca_file, " cannot be read; ",
        ca_file.empty() ? "install ca-certificates" : "check the file"));
  }
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  // A stream waits for most of its life: no buffers for it meanwhile.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return trust;
}

void StreamSocket::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

StreamSocket::StreamSocket(std::vector<SocketAddress> addresses, const TlsTrust* trust,
                           std::string host)
    : addresses_(std::move(addresses)), trust_(trust), host_(std::move(host)) {}

StreamSocket::~StreamSocket() = default;

Step StreamSocket::Connect() {
  if (!is_connected_) {
    const Step step = ConnectTcp();
    if (step.kind != Step::kDone) return step;
  }
  return trust_ == nullptr ? Step{} : Handshake();
}

Step StreamSocket::ConnectTcp() {
  while (true) {
    if (socket_.is_open()) {
      pollfd entry = {.fd = socket_.get(), .events = POLLOUT, .revents = 0};
      if (poll(&entry, 1, 0) <= 0) return {.kind = Step::kWaitToWrite};
      socklen_t size = sizeof last_error_;
      getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &last_error_, &size);
      if (last_error_ == 0) {
        is_connected_ = true;
        return {};
      }
      socket_.Reset();
    }
    if (next_address_ == addresses_.size()) {
      return Failed(absl::UnavailableError(
          absl::StrCat("cannot connect (", strerror(last_error_),
                       "); check that the address is right and that the server runs")));
    }
    const SocketAddress& address = addresses_[next_address_++];
    ++attempt_;
    socket_.Reset(socket(address.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (!socket_.is_open()) {
      last_error_ = errno;
      continue;
    }
    setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address.address),
                address.length) != 0 &&
        errno != EINPROGRESS) {
      last_error_ = errno;
      socket_.Reset();
    }
  }
}

absl::Status StreamSocket::BeginTls() {
  ssl_.reset(SSL_new(trust_->context()));
  if (ssl_ == nullptr) return absl::ResourceExhaustedError("no memory for TLS");
  X509_VERIFY_PARAM* const verify = SSL_get0_param(ssl_.get());
  const bool named = IsIpAddress(host_)
                         ? X509_VERIFY_PARAM_set1_ip_asc(verify, host_.c_str()) == 1
                         : SSL_set_tlsext_host_name(ssl_.get(), host_.c_str()) == 1 &&
                               X509_VERIFY_PARAM_set1_host(verify, host_.c_str(), 0) == 1;
  if (!named || SSL_set_fd(ssl_.get(), socket_.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat("TLS cannot be spoken with ", host_));
  }
  SSL_set_connect_state(ssl_.get());
  return absl::OkStatus();
}

Step StreamSocket::Handshake() {
  if (ssl_ == nullptr) {
    if (absl::Status status = BeginTls(); !status.ok()) return Failed(std::move(status));
  }
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return {};
  Step step = TlsStep(result);
  if (step.kind != Step::kFailed && step.kind != Step::kDone) return step;
  if (const long verified = SSL_get_verify_result(ssl_.get()); verified != X509_V_OK) {
    return Failed(absl::UnauthenticatedError(absl::StrCat(
        "the server's certificate does not verify (", X509_verify_cert_error_string(verified),
        "); check the address, the clock and the trusted certificates")));
  }
  return Failed(absl::UnavailableError("the TLS handshake failed"));
}

Step StreamSocket::TlsStep(int result) {
  const int system_error = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {.kind = Step::kWaitToRead};
    case SSL_ERROR_WANT_WRITE:
      return {.kind = Step::kWaitToWrite};
    case SSL_ERROR_ZERO_RETURN:
      return {};  // the peer said that it ends
    case SSL_ERROR_SYSCALL:
      return Broke(system_error);
    default:
      ERR_clear_error();
      return Broke(0);
  }
}

Step StreamSocket::Write(absl::string_view bytes) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int size = static_cast<int>(std::min<size_t>(bytes.size(), INT_MAX));
    const int written = SSL_write(ssl_.get(), bytes.data(), size);
    if (written > 0) return {.bytes = static_cast<size_t>(written)};
    Step step = TlsStep(written);
    return step.kind == Step::kDone ? Broke(0) : step;
  }
  const ssize_t written = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (written >= 0) return {.bytes = static_cast<size_t>(written)};
  return WouldBlock(errno) ? Step{.kind = Step::kWaitToWrite} : Broke(errno);
}

Step StreamSocket::Read(char* buffer, size_t size) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), buffer, static_cast<int>(std::min<size_t>(size, INT_MAX)));
    if (got > 0) return {.bytes = static_cast<size_t>(got)};
    return TlsStep(got);
  }
  const ssize_t got = recv(socket_.get(), buffer, size, 0);
  if (got >= 0) return {.bytes = static_cast<size_t>(got)};
  return WouldBlock(errno) ? Step{.kind = Step::kWaitToRead} : Broke(errno);
}

}  // namespace contree
