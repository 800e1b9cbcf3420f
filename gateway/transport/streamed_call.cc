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

}  // namespace

std::string EventText(absl::string_view message) {
  return absl::StrCat("event: message\ndata: ", message, "\n\n");
}

void CallEvents::Finish(std::optional<Answer> answer) {
  {
    absl::MutexLock lock(&mutex_);
    answer_ = std::move(answer);
  }
  queue_.Close();
}

CallEvents::Taken CallEvents::Take(absl::Duration timeout) {
  EventQueue::Taken taken = queue_.Take(timeout);
  absl::MutexLock lock(&mutex_);
  return {std::move(taken.events), taken.is_closed,
          taken.is_closed ? std::exchange(answer_, std::nullopt) : std::nullopt};
}

void StartStreamedCall(const StreamedCall& streamed, WorkerPool& pool) {
  // The task owns its part of the call: it may outlive this answer by the moment that stopping
  // takes.
  absl::AnyInvocable<void()> task = [events = streamed.events, session = streamed.session,
                                     call = streamed.call] { events->Finish(call->Run()); };
  if (!pool.TryRun(task)) {
    streamed.events->Finish(
        streamed.call->Refuse("too many calls run at the same time; wait until some have ended"));
  }
}

void WriteStreamedCall(const StreamedCall& streamed, CallEvents::Taken taken,
                       absl::Duration keep_alive, HttpResponseStream& stream) {
  absl::Time keep_alive_at = absl::Now() + keep_alive;
  while (true) {
    if (taken.answer.has_value()) taken.events.push_back(std::move(taken.answer->json));
    bool is_open = true;
    for (const std::string& message : taken.events) {
      is_open = stream.Write(streamed.as_events ? EventText(message) : message);
      keep_alive_at = absl::Now() + keep_alive;
    }
    if (taken.is_closed) return;
    if (is_open && streamed.as_events && absl::Now() >= keep_alive_at) {
      is_open = stream.Write(": keep-alive\n\n");
      keep_alive_at = absl::Now() + keep_alive;
    }
    if (!is_open || !stream.IsOpen()) {
      const bool cancels =
          streamed.call->era() == Era::kStateless && !streamed.stopping.stop_requested();
      cancels ? streamed.call->Cancel() : streamed.call->Stop();
      return;
    }
    taken = streamed.events->Take(std::min(kLookInterval, keep_alive));
  }
}

}  // namespace contree::gateway
