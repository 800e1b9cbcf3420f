#ifndef COMMON_HTTP_STREAM_SOCKET_H_
#define COMMON_HTTP_STREAM_SOCKET_H_

// A connection, with TLS or without, of which no step ever waits: each says what to wait for before
// it is called again.

#include <sys/socket.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

struct ssl_ctx_st;
struct ssl_st;

namespace contree {

struct SocketAddress {
  sockaddr_storage address = {};
  socklen_t length = 0;
};

// The addresses of a host, the preferred one first. Waits for the resolver where `host` is a name.
// Unavailable: it does not resolve.
absl::StatusOr<std::vector<SocketAddress>> ResolveHost(const std::string& host, int port);

// Which certificates are trusted. Thread-safe.
class TlsTrust {
 public:
  // `ca_file`: PEM; empty: the system's. FailedPrecondition: they cannot be read.
  static absl::StatusOr<std::unique_ptr<TlsTrust>> Load(const std::string& ca_file);

  ssl_ctx_st* context() const { return context_.get(); }

 private:
  struct Free {
    void operator()(ssl_ctx_st* context) const;
  };
  explicit TlsTrust(ssl_ctx_st* context) : context_(context) {}

  const std::unique_ptr<ssl_ctx_st, Free> context_;
};

// Used by one thread, which must block SIGPIPE.
class StreamSocket {
 public:
  struct Step {
    enum Kind { kDone, kWaitToRead, kWaitToWrite, kFailed } kind = kDone;
    size_t bytes = 0;                        // read or written; read and 0: the peer has ended
    absl::Status status = absl::OkStatus();  // of kFailed
  };

  // Will connect to the first of `addresses` that answers. `trust` (nullptr: no TLS) must outlive
  // it; `host` is whom the certificate must name.
  StreamSocket(std::vector<SocketAddress> addresses, const TlsTrust* trust, std::string host);
  ~StreamSocket();
  StreamSocket(const StreamSocket&) = delete;
  StreamSocket& operator=(const StreamSocket&) = delete;

  // kFailed with Unavailable: nobody answers. Unauthenticated: the certificate does not verify.
  Step Connect();
  // kFailed with Unavailable: the connection broke.
  Step Write(absl::string_view bytes);
  Step Read(char* buffer, size_t size);

  int fd() const { return socket_.get(); }
  // Counts the sockets that were made: after Connect has gone to the next address, fd() is another
  // one, also where the number is the same.
  int attempt() const { return attempt_; }

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };

  Step ConnectTcp();
  Step Handshake();
  absl::Status BeginTls();
  // What a result of OpenSSL that is no success means.
  Step TlsStep(int result);

  const std::vector<SocketAddress> addresses_;
  const TlsTrust* const trust_;
  const std::string host_;
  size_t next_address_ = 0;
  int attempt_ = 0;
  int last_error_ = 0;
  bool is_connected_ = false;
  UniqueFd socket_;
  std::unique_ptr<ssl_st, Free> ssl_;
};

}  // namespace contree

#endif  // COMMON_HTTP_STREAM_SOCKET_H_
