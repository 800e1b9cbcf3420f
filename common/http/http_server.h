#ifndef COMMON_HTTP_HTTP_SERVER_H_
#define COMMON_HTTP_HTTP_SERVER_H_

// An HTTP/1.1 server over cpp-httplib that closes what that library leaves open: bodies are bounded
// however they are framed, REMOTE_ADDR cannot be forged by a header, an exception's text never
// reaches a client, a connection whose request body was not read is closed instead of parsing the
// rest as the next request, and connections beyond the thread bound are answered 503 instead of
// waiting.

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace contree {

class TlsServer;

// The open end of a streamed answer. Used by one thread: the one that runs the producer.
class HttpResponseStream {
 public:
  // Sends bytes at once (a chunk, flushed). False: the client went away or the server stops;
  // produce no more.
  virtual bool Write(absl::string_view bytes) = 0;
  // Whether anybody still reads; cheap enough to ask before waiting and after each wait of some 100
  // ms.
  virtual bool IsOpen() = 0;

 protected:
  ~HttpResponseStream() = default;
};

// The open end of a streamed answer that needs no thread: its owner, who waits for many of them at
// once, watches the socket. Destroying it closes the connection; unless the answer was finished and
// sent, the client sees it broken off. Used by one thread at a time.
class HttpDetachedStream {
 public:
  virtual ~HttpDetachedStream() = default;

  virtual int socket() const = 0;
  // Adds a chunk (flushed, where the answer is compressed) and sends what goes without waiting.
  virtual void Write(absl::string_view bytes) = 0;
  // Adds the end of the answer: nothing may follow.
  virtual void Finish() = 0;
  // Sends more of what was added; call it when the socket takes bytes again.
  virtual void Flush() = 0;
  virtual size_t unsent() const = 0;
  // The client went away: nothing that is added reaches anybody.
  virtual bool IsBroken() = 0;
};

// One request and its answer; lives as long as the handler's call. Used by the handler's thread
// only.
class HttpExchange {
 public:
  virtual const std::string& method() const = 0;          // upper case
  virtual const std::string& path() const = 0;            // percent-decoded, without the query
  virtual const std::string& remote_address() const = 0;  // of the socket, whatever headers say
  // The first value of a query parameter or header (names of headers in any case); nullopt where
  // absent. A parameter without a value ("?text" or "?text=") has the value "".
  virtual std::optional<std::string> Query(const std::string& name) const = 0;
  virtual std::vector<std::string> QueryAll(const std::string& name) const = 0;
  virtual std::optional<std::string> Header(const std::string& name) const = 0;

  // Reads the body, at most once. ResourceExhausted: larger than max_bytes (answer 413; what was
  // not read closes the connection). Aborted: the client stopped sending. The sink's own error ends
  // the reading and is returned.
  virtual absl::StatusOr<std::string> ReadBody(size_t max_bytes) = 0;
  virtual absl::Status ReadBody(size_t max_bytes,
                                absl::FunctionRef<absl::Status(absl::string_view)> sink) = 0;

  // The answer: one of these, once. Headers come before. No answer at all becomes a 500.
  virtual void SetHeader(const std::string& name, const std::string& value) = 0;
  virtual void Respond(int status) = 0;
  virtual void Respond(int status, const std::string& content_type, std::string body) = 0;
  // `produce` runs after the handler returned, on the same thread, once; it must own what it uses.
  virtual void RespondStream(int status, const std::string& content_type,
                             absl::AnyInvocable<void(HttpResponseStream&)> produce) = 0;
  // `take` gets the stream once the head is sent, on the same thread, which is then free for other
  // connections; not called where there is no body (HEAD) or the client is gone. The connection
  // ends with the answer. HttpServer::Stop does not know of it any more.
  virtual void RespondDetached(
      int status, const std::string& content_type,
      absl::AnyInvocable<void(std::unique_ptr<HttpDetachedStream>)> take) = 0;

 protected:
  ~HttpExchange() = default;
};

using HttpHandler = std::function<void(HttpExchange&)>;

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address, or a name that resolves to one
  int port = 0;                    // 0: a free one
  int max_connections = 512;       // each has a thread while it is open; one more is answered 503
  // Where balancers ask how it does: requests for it do not count for Retire. Empty: nowhere.
  std::string probe_path = "";
  // What serves https instead of http; null: nothing. Who speaks http all the same is told so. It
  // is then the server itself that says X-Forwarded-Proto, whatever the client said.
  std::shared_ptr<const TlsServer> tls = nullptr;
  // How long a client may take to begin: to shake hands.
  absl::Duration handshake_timeout = absl::Seconds(10);
  // Compresses answers for clients that accept gzip. Off where latency matters more than bytes.
  bool compress = false;
};

// Thread-safe. The handler runs on many threads at once.
class HttpServer {
 public:
  // Listens and serves until Stop. Unavailable: the address cannot be bound (the message says why
  // and what to do).
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                           HttpHandler handler);
  virtual ~HttpServer() = default;  // stops

  virtual int port() const = 0;
  // "http://127.0.0.1:41234", or https
  virtual std::string url() const = 0;
  // From now on each answer closes its connection and says so, that clients go elsewhere; what
  // comes is served, on new connections too, until no request has come for `quiet`, or for
  // `longest`. Then no connection is taken any more, and what is being answered gets `grace`;
  // returns earlier when nothing is left. Detached answers do not count. Stop is to follow.
  virtual void Retire(absl::Duration quiet, absl::Duration longest, absl::Duration grace) = 0;
  // Takes no new connections, tells streams to end (IsOpen becomes false), waits for running
  // handlers. A request that has arrived by then is still answered. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_SERVER_H_
