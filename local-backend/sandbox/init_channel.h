#ifndef LOCAL_BACKEND_SANDBOX_INIT_CHANNEL_H_
#define LOCAL_BACKEND_SANDBOX_INIT_CHANNEL_H_

// Our end of the socket to the init of a sandbox (sandbox_init_protocol.h), on an event loop: no
// call waits. A part of the sandbox library. Used on the loop's thread only.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/event_loop.h"
#include "local-backend/sandbox/sandbox_init_protocol.h"

namespace contree {

class InitChannel {
 public:
  // `loop` outlives it.
  InitChannel(EventLoop& loop, UniqueFd socket) : loop_(loop), socket_(std::move(socket)) {}
  InitChannel(const InitChannel&) = delete;
  InitChannel& operator=(const InitChannel&) = delete;

  struct Events {
    std::function<void(FrameType type, absl::string_view payload)> on_reply;
    std::function<void()> on_end;  // the init said its last, and it is closed
  };
  // `owner`, of which this is a part, lives at least as long as anything is watched here, and so
  // does what `events` keep. ResourceExhausted: the loop watches no more, and it is closed.
  absl::Status Begin(const std::shared_ptr<void>& owner, Events events);

  // Sends a frame once those before it are gone, `descriptors` (none or three) with it. Nothing
  // happens where it is closed. Errors: as Begin.
  absl::Status Send(FrameType type, absl::string_view payload,
                    std::vector<UniqueFd> descriptors = {});
  // Forgets all frames of which no byte was sent.
  void ForgetUnsent();

  bool is_open() const { return socket_.is_open(); }
  // Whether something may still come.
  bool is_heard() const { return readable_.has_value(); }
  void Close();

 private:
  struct Frame {
    std::string bytes;
    size_t sent = 0;
    std::vector<UniqueFd> descriptors;
  };

  absl::Status Flush();
  void WatchNoMore(std::optional<EventLoop::WatchId>& watch);
  void Receive(const Events& events);

  EventLoop& loop_;
  UniqueFd socket_;
  std::weak_ptr<void> owner_;
  std::optional<EventLoop::WatchId> readable_;
  std::optional<EventLoop::WatchId> writable_;
  UniqueFd writable_copy_;  // one descriptor can be watched once
  std::deque<Frame> outgoing_;
  std::string incoming_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_INIT_CHANNEL_H_
