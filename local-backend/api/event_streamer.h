#ifndef LOCAL_BACKEND_API_EVENT_STREAMER_H_
#define LOCAL_BACKEND_API_EVENT_STREAMER_H_

// Sends events to all who follow operations, on one thread: a follower that waits costs a socket
// and no thread. Thread-safe.

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_server.h"
#include "local-backend/operations/event_log.h"
#include "local-backend/sandbox/event_loop.h"

namespace contree {

struct EventSubscription {
  std::shared_ptr<const EventLog> log;
  int64_t next = 0;     // the first id that the client has not seen
  int64_t spid = -1;    // only of this process; -1: of all
  bool follow = false;  // to the end of the log; else what is there now
};

class EventStreamer {
 public:
  struct Options {
    absl::Duration keepalive = absl::Seconds(15);
  };

  // ResourceExhausted and others: the system gives no descriptors.
  static absl::StatusOr<std::unique_ptr<EventStreamer>> Create(const Options& options);
  ~EventStreamer();  // breaks off what is open

  // Sends until the log ends or the client goes away.
  void Add(EventSubscription subscription, std::unique_ptr<HttpDetachedStream> stream);
  // Lets what is open send what it has, for a moment, and ends it.
  void Stop();
  int open() const { return open_; }

 private:
  class Follower;

  explicit EventStreamer(const Options& options) : options_(options) {}

  const Options options_;
  std::atomic<int> open_ = 0;
  std::set<std::shared_ptr<Follower>> followers_;  // of the loop's thread
  std::unique_ptr<EventLoop> loop_;                // first to go
};

// One event as a frame of the stream.
std::string EventFrame(const Event& event);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_EVENT_STREAMER_H_
