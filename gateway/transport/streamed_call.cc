#include "gateway/transport/streamed_call.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace contree::gateway {
namespace {

// How soon a client that left is noticed. Nothing but a thread waits for it, and a thousand calls
// that look ten times a second take a third of a core.
constexpr absl::Duration kLookInterval = absl::Seconds(1);

std::string Event(const std::string& message) {
  return absl::StrCat("event: message\ndata: ", message, "\n\n");
}

}  // namespace

void WriteStreamedCall(const StreamedCall& streamed, absl::Duration keep_alive, WorkerPool& pool,
                       HttpResponseStream& stream) {
  // The task owns its part of the call: it may outlive this answer by the moment that stopping
  // takes.
  absl::AnyInvocable<void()> task = [events = streamed.events, session = streamed.session,
                                     call = streamed.call] {
    if (std::optional<std::string> answer = call->Run()) events->Push(std::move(*answer));
    events->Close();
  };
  if (!pool.TryRun(task)) {
    streamed.events->Push(
        streamed.call->Refuse("too many calls run at the same time; wait until some have ended"));
    streamed.events->Close();
  }
  absl::Time keep_alive_at = absl::Now() + keep_alive;
  while (true) {
    EventQueue::Taken taken = streamed.events->Take(std::min(kLookInterval, keep_alive));
    bool is_open = true;
    for (const std::string& message : taken.events) {
      is_open = stream.Write(streamed.as_events ? Event(message) : message);
      keep_alive_at = absl::Now() + keep_alive;
    }
    if (taken.is_closed) return;
    if (is_open && streamed.as_events && absl::Now() >= keep_alive_at) {
      is_open = stream.Write(": keep-alive\n\n");
      keep_alive_at = absl::Now() + keep_alive;
    }
    if (!is_open || !stream.IsOpen()) {
      streamed.call->Stop();
      return;
    }
  }
}

}  // namespace contree::gateway
