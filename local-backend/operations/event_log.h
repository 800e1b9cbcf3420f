#ifndef LOCAL_BACKEND_OPERATIONS_EVENT_LOG_H_
#define LOCAL_BACKEND_OPERATIONS_EVENT_LOG_H_

// The events of one operation, numbered from 0, with readers that wait for the next one.
// Thread-safe.

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace contree {

struct Event {
  int64_t id = 0;
  int spid = 0;  // of the process it is about; 0: the operation as a whole
  std::string type;
  std::string json;  // the whole event, on one line
};

class EventLog {
 public:
  EventLog() = default;
  // One that was written to its end.
  explicit EventLog(absl::string_view saved);

  // No effect after Prepare: what comes late has no place any more.
  void Append(int spid, const std::string& type, const nlohmann::json& data);
  // How large it is, about, in memory and stored.
  int64_t bytes() const;

  // For the last event, which readers may see only once the operation's end is stored: what Append
  // would add now, the log with it as text, and the adding.
  Event Prepare(int spid, const std::string& type, const nlohmann::json& data);
  std::string SaveWith(const Event& last) const;
  void Close(Event last);

  struct Page {
    std::vector<Event> events;
    bool closed = false;  // nothing comes after these
  };
  // The events from number `first` on, of `max_bytes` about, at least one if there is any; where
  // there are none yet, waits for them up to `patience`.
  Page Read(int64_t first, absl::Duration patience,
            int64_t max_bytes = std::numeric_limits<int64_t>::max()) const;

  // Calls `listener` with each new event, on the thread that adds it, until Unlisten returns. It
  // must not block, nor call this log.
  using ListenerId = uint64_t;
  ListenerId Listen(std::function<void()> listener) const;
  void Unlisten(ListenerId id) const;

 private:
  Event Make(int spid, const std::string& type, const std::string& data) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void TellListeners() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable ListenerId last_listener_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable std::map<ListenerId, std::function<void()>> listeners_ ABSL_GUARDED_BY(mutex_);
  bool sealed_ ABSL_GUARDED_BY(mutex_) = false;  // but for the last event
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// RFC 3339 in UTC with microseconds, as Python's datetime.isoformat() writes it.
std::string FormatApiTime(absl::Time time);

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_EVENT_LOG_H_
