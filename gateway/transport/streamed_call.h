#ifndef GATEWAY_TRANSPORT_STREAMED_CALL_H_
#define GATEWAY_TRANSPORT_STREAMED_CALL_H_

// One call whose HTTP answer stays open while it runs, so that its client hears of progress and its
// leaving is noticed.

#include <memory>

#include "absl/time/time.h"
#include "common/http/http_server.h"
#include "gateway/mcp/session.h"
#include "gateway/transport/event_queue.h"
#include "gateway/transport/worker_pool.h"

namespace contree::gateway {

struct StreamedCall {
  std::shared_ptr<EventQueue> events;
  std::shared_ptr<Session> session;
  std::shared_ptr<PendingCall> call;
  bool as_events;  // server-sent events; otherwise just the answer, as JSON
};

// Runs the call on `pool` and writes what comes of it until it is answered or nobody reads any
// more; then the call is told to stop. A silent stream of events gets a comment every `keep_alive`.
void WriteStreamedCall(const StreamedCall& streamed, absl::Duration keep_alive, WorkerPool& pool,
                       HttpResponseStream& stream);

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_STREAMED_CALL_H_
