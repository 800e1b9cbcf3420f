#ifndef CONTREE_SERVICE_TESTING_SCRIPTED_API_H_
#define CONTREE_SERVICE_TESTING_SCRIPTED_API_H_

// A ConTree API on loopback that says what a test tells it to, and remembers what it was asked.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_server.h"

namespace contree {

// The events of one operation, given out as a test adds them. Thread-safe.
class EventFeed {
 public:
  // Adds a frame {"id": ID, "ts": …, "spid": SPID, "type": TYPE, "data": DATA}.
  void Send(int id, const std::string& type, const std::string& data, int spid = 1);
  // Adds bytes as they are, for one connection only: the first that gets to them.
  void SendRaw(const std::string& bytes);
  // Falls silent on every open connection without closing it; later ones are served.
  void Stall();
  // Closes every open connection behind what was sent so far; later ones are served again.
  void CloseConnections();

  // Answers GET …/events?follow=1: what lies behind Last-Event-Id, then what comes.
  void Serve(HttpExchange& exchange);

  int connections() const;
  int open_connections() const;
  // The Last-Event-Id of each connection, in order; "" for none.
  std::vector<std::string> last_event_ids() const;
  // Waits until so many connections were made or are open.
  void AwaitConnections(int count) const;
  void AwaitOpenConnections(int count) const;

 private:
  struct Frame {
    int id;  // -1: raw
    std::string bytes;
  };

  mutable absl::Mutex mutex_;
  std::vector<Frame> frames_ ABSL_GUARDED_BY(mutex_);
  int generation_ ABSL_GUARDED_BY(mutex_) = 0;
  int stalled_ ABSL_GUARDED_BY(mutex_) = 0;  // so many connections, the first ones
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> last_event_ids_ ABSL_GUARDED_BY(mutex_);
};

// Thread-safe.
class ScriptedApi {
 public:
  ScriptedApi();
  ~ScriptedApi();

  std::string url() const { return server_->url(); }

  // Answers METHOD and path ("GET /v1/images") from now on; the query is the handler's affair.
  void On(const std::string& method_and_path, HttpHandler handler);
  void On(const std::string& method_and_path, int status, const std::string& json);
  // The operation's record from now on: `status` and, for final ones, a whole result with this
  // stdout.
  void SetOperation(const std::string& id, const std::string& status,
                    const std::string& output = "");
  // Serves the operation's events.
  EventFeed& Feed(const std::string& id);

  // How often METHOD and path were asked.
  int Count(const std::string& method_and_path) const;
  // Waits until they were asked so often.
  void AwaitCount(const std::string& method_and_path, int count) const;

 private:
  void Handle(HttpExchange& exchange);

  mutable absl::Mutex mutex_;
  std::map<std::string, HttpHandler> handlers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> counts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<EventFeed>> feeds_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;  // last: its threads use all of the above
};

}  // namespace contree

#endif  // CONTREE_SERVICE_TESTING_SCRIPTED_API_H_
