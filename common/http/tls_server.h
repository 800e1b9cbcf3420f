#ifndef COMMON_HTTP_TLS_SERVER_H_
#define COMMON_HTTP_TLS_SERVER_H_

// TLS 1.2 and 1.3 for accepted sockets, for servers of HTTP/1.1. Certificate and key come from
// files that are read again when they change; connections that are there keep what they began with.
// The program must ignore SIGPIPE.

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/files/reloaded_file.h"

struct ssl_ctx_st;
struct ssl_st;

namespace contree {

// Paths of PEM files; an empty one: none.
struct TlsServerFiles {
  std::string certificate = "";  // with those between it and the authority
  std::string key = "";          // its private key, without a pass phrase
  // The authority that clients' certificates must come from; clients without one are refused.
  std::string client_authority = "";

  bool empty() const { return certificate.empty() && key.empty() && client_authority.empty(); }
};

// TLS on one socket, of which no step ever waits. Used by one thread at a time.
class TlsSession {
 public:
  // What steps return besides a number of bytes; 0: the peer has ended.
  static constexpr ssize_t kBroken = -1;
  static constexpr ssize_t kWaitToRead = -2;
  static constexpr ssize_t kWaitToWrite = -3;

  explicit TlsSession(ssl_st* session) : session_(session) {}

  // The handshake; 1: it is done.
  ssize_t Accept();
  ssize_t Read(char* buffer, size_t size);
  ssize_t Write(const char* bytes, size_t size);
  // Says that no more comes.
  void End();

 private:
  struct Free {
    void operator()(ssl_st* session) const;
  };
  ssize_t Step(int result);

  const std::unique_ptr<ssl_st, Free> session_;
};

// Thread-safe.
class TlsServer {
 public:
  // InvalidArgument: certificate or key is missing, they do not belong together, or a file is no
  // such thing; the message names it. NotFound and others: a file cannot be read.
  static absl::StatusOr<std::shared_ptr<TlsServer>> Open(const TlsServerFiles& files);

  // For a non-blocking socket, which must outlive it. Null: no memory is left.
  std::unique_ptr<TlsSession> NewSession(int socket) const;

 private:
  struct FreeContext {
    void operator()(ssl_ctx_st* context) const;
  };
  using Context = std::unique_ptr<ssl_ctx_st, FreeContext>;

  explicit TlsServer(TlsServerFiles files) : files_(std::move(files)) {}
  static absl::StatusOr<Context> Load(const TlsServerFiles& files);
  absl::Status Reload();

  const TlsServerFiles files_;
  mutable absl::Mutex mutex_;
  Context context_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<ReloadedFile>> watched_;  // last: their threads use the rest
};

}  // namespace contree

#endif  // COMMON_HTTP_TLS_SERVER_H_
