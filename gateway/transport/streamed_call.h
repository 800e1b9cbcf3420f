#ifndef GATEWAY_TRANSPORT_STREAMED_CALL_H_
#define GATEWAY_TRANSPORT_STREAMED_CALL_H_

// One call whose HTTP answer stays open while it runs, so that its client hears of progress and its
// leaving is noticed.

#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/http/http_server.h"
#include "gateway/mcp/session.h"
#include "gateway/transport/event_queue.h"
#include "gateway/transport/worker_pool.h"

namespace contree::gateway {

// Messages about one request on their way to its HTTP answer, and that. Thread-safe.
class CallEvents {
 public:
  void Push(std::string event) { queue_.Push(std::move(event)); }
  // Nothing follows. nullopt: there is no answer.
  void Finish(std::optional<Answer> answer);

  struct Taken {
    std::deque<std::string> events = {};
    bool is_closed = false;  // and nothing follows these but the answer
    std::optional<Answer> answer = std::nullopt;
  };
  // Waits until there is something to take, `timeout` at most.
  Taken Take(absl::Duration timeout);

 private:
  EventQueue queue_;
  absl::Mutex mutex_;
  std::optional<Answer> answer_ ABSL_GUARDED_BY(mutex_);
};

// A message as a server-sent event.
std::string EventText(absl::string_view message);

struct StreamedCall {
  std::shared_ptr<CallEvents> events;
  std::shared_ptr<Session> session;
  std::shared_ptr<PendingCall> call;
  bool as_events;  // server-sent events; otherwise just the answer, as JSON
  // The server itself closes streams from now on.
  std::stop_token stopping;
};

// Runs the call on `pool`; what comes of it goes into its events.
void StartStreamedCall(const StreamedCall& streamed, WorkerPool& pool);

// Writes what was taken already and what follows, until the call is answered or nobody reads any
// more; then the call is told to stop, and cancelled where that is what closing means. A silent
// stream of events gets a comment every `keep_alive`.
void WriteStreamedCall(const StreamedCall& streamed, CallEvents::Taken taken,
                       absl::Duration keep_alive, HttpResponseStream& stream);

}  // namespace contree::gateway

#endif  // GATEWAY_TRANSPORT_STREAMED_CALL_H_
