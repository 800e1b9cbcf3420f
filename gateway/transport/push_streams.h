#ifndef GATEWAY_TRANSPORT_PUSH_STREAMS_H_
#define GATEWAY_TRANSPORT_PUSH_STREAMS_H_

// Streams of events that stay open over HTTP while nothing happens: the answers of
// subscriptions/listen, and the GET stream of the earlier era. None of them costs a thread.

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/http/http_push_loop.h"
#include "common/http/http_server.h"
#include "common/rpc/call_context.h"
#include "gateway/jsonrpc/message.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/transport/http_sessions.h"

namespace contree::gateway {

// Thread-safe.
class PushStreams {
 public:
  // `server` and `sessions` must outlive it. A silent stream gets a comment every `keep_alive`; no
  // more than `max_streams` are open at a time.
  PushStreams(const McpServer& server, HttpSessions& sessions, std::unique_ptr<HttpPushLoop> loop,
              absl::Duration keep_alive, size_t max_streams);
  ~PushStreams();

  // Answers a subscriptions/listen: the acknowledgement, then what changes.
  void Listen(const RequestId& id, Message request, CallContext context, HttpExchange& exchange);
  // Sends what a session has to say besides its answers.
  void Open(HttpSessions::Found session, HttpExchange& exchange);

  // Says the last word on each subscription and ends all streams; later ones are refused.
  void Stop();

 private:
  class Stream;

  // nullptr: there are too many; the exchange is answered.
  std::shared_ptr<Stream> NewStream(HttpExchange& exchange);
  void Forget(const Stream* stream);
  void Respond(const std::shared_ptr<Stream>& stream, HttpExchange& exchange);

  const McpServer& server_;
  HttpSessions& sessions_;
  const absl::Duration keep_alive_;
  const size_t max_streams_;
  absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_map<const Stream*, std::weak_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
  const std::unique_ptr<HttpPushLoop> loop_;  // last: its thread uses the others
};

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_PUSH_STREAMS_H_
