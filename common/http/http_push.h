#ifndef COMMON_HTTP_HTTP_PUSH_H_
#define COMMON_HTTP_HTTP_PUSH_H_

// Answers that stay open while nothing is said, without a thread for each: one writes and watches
// all of them. Made of HttpDetachedStreams by an HttpPushLoop.

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace contree {

// The open end of such an answer. Thread-safe.
class HttpPush {
 public:
  virtual ~HttpPush() = default;
  // Sends bytes in the order of the calls, as the client takes them; never waits. Dropped where the
  // answer is closed. A client that falls 1 MiB behind is left.
  virtual void Write(absl::string_view bytes) = 0;
  // Ends the answer behind what was written.
  virtual void End() = 0;
};

struct HttpPushOptions {
  // Is written whenever nothing was for so long; empty: nothing is.
  std::string keep_alive = "";
  absl::Duration keep_alive_after = absl::Seconds(15);
  // Called once, perhaps before anybody has the open end: when the answer is over: ended, left by
  // its client, or the loop stops. Never by a thread that is inside one of the calls above.
  std::function<void()> closed = nullptr;
};

}  // namespace contree

#endif  // COMMON_HTTP_HTTP_PUSH_H_
