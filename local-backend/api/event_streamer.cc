#include "local-backend/api/event_streamer.h"

#include <sys/epoll.h>

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

// What may wait for a client that reads slowly; the rest stays in the log.
constexpr size_t kMaxUnsent = 256 * 1024;

}  // namespace

std::string EventFrame(const Event& event) {
  return absl::StrCat("id: ", event.id, "\nevent: ", event.type, "\ndata: ", event.json, "\n\n");
}

// One client. Of the loop's thread, except Wake.
class EventStreamer::Follower : public std::enable_shared_from_this<Follower> {
 public:
  Follower(EventStreamer& streamer, EventSubscription subscription,
           std::unique_ptr<HttpDetachedStream> stream)
      : streamer_(streamer),
        loop_(*streamer.loop_),
        subscription_(std::move(subscription)),
        stream_(std::move(stream)) {
    ++streamer_.open_;
  }
  ~Follower() { --streamer_.open_; }

  void Begin() {
    listener_ = subscription_.log->Listen([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Wake();
    });
    Rearm(0);
    SetTimer();
    Pump();
  }

  // There may be more events, told by whoever appends them.
  void Wake() {
    if (is_woken_.exchange(true)) return;
    loop_.Post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->is_woken_ = false;
      self->Pump();
    });
  }

  void End() {
    if (ended_) return;
    ended_ = true;
    subscription_.log->Unlisten(listener_);
    if (watch_.has_value()) loop_.Unwatch(*watch_);
    if (timer_.has_value()) loop_.CancelTimer(*timer_);
    streamer_.followers_.erase(shared_from_this());
  }

 private:
  // Sends what there is and the client takes.
  void Pump() {
    if (ended_) return;
    while (!finished_ && stream_->unsent() < kMaxUnsent) {
      const EventLog::Page page =
          subscription_.log->Read(subscription_.next, absl::ZeroDuration(), kMaxUnsent);
      std::string frames;
      for (const Event& event : page.events) {
        subscription_.next = event.id + 1;
        if (subscription_.spid >= 0 && event.spid != subscription_.spid) continue;
        frames += EventFrame(event);
      }
      if (!frames.empty()) Send(frames);
      if (page.closed || (page.events.empty() && !subscription_.follow)) {
        finished_ = true;
        stream_->Finish();
      }
      if (page.events.empty()) break;
    }
    if (finished_ && stream_->unsent() == 0) return End();
    Rearm(stream_->unsent() > 0 ? static_cast<uint32_t>(EPOLLOUT) : 0);
  }

  void Send(const std::string& bytes) {
    last_sent_ = absl::Now();
    stream_->Write(bytes);
  }

  void OnSocket() {
    if (stream_->IsBroken()) return End();
    stream_->Flush();
    Pump();
  }

  void Rearm(uint32_t events) {
    events |= EPOLLRDHUP;
    if (watch_.has_value() && events == watched_events_) return;
    if (watch_.has_value()) loop_.Unwatch(*watch_);
    watch_.reset();
    watched_events_ = events;
    const auto watch = loop_.Watch(stream_->socket(), events, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->OnSocket();
    });
    if (watch.ok()) {
      watch_ = *watch;
    } else {
      LogWarning("a follower of events is broken off",
                 {{"error", std::string(watch.status().message())}});
      loop_.Post([self = shared_from_this()] { self->End(); });
    }
  }

  void SetTimer() {
    timer_ = loop_.CallAt(last_sent_ + streamer_.options_.keepalive, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr || self->ended_) return;
      if (absl::Now() - self->last_sent_ >= self->streamer_.options_.keepalive) {
        self->Send(": keepalive\n\n");
        if (self->stream_->unsent() > 0) self->Rearm(EPOLLOUT);
      }
      self->SetTimer();
    });
  }

  EventStreamer& streamer_;
  EventLoop& loop_;
  EventSubscription subscription_;
  const std::unique_ptr<HttpDetachedStream> stream_;
  EventLog::ListenerId listener_ = 0;
  std::atomic<bool> is_woken_ = false;
  std::optional<EventLoop::WatchId> watch_;
  uint32_t watched_events_ = 0;
  std::optional<EventLoop::TimerId> timer_;
  absl::Time last_sent_ = absl::Now();
  bool finished_ = false;  // all was written, not all was sent
  bool ended_ = false;
};

absl::StatusOr<std::unique_ptr<EventStreamer>> EventStreamer::Create(const Options& options) {
  std::unique_ptr<EventStreamer> streamer(new EventStreamer(options));
  ASSIGN_OR_RETURN(streamer->loop_, EventLoop::Start());
  return streamer;
}

EventStreamer::~EventStreamer() { Stop(); }

void EventStreamer::Add(EventSubscription subscription,
                        std::unique_ptr<HttpDetachedStream> stream) {
  auto follower = std::make_shared<Follower>(*this, std::move(subscription), std::move(stream));
  loop_->Post([this, follower] {
    followers_.insert(follower);
    follower->Begin();
  });
}

void EventStreamer::Stop() {
  absl::Notification ended;
  // Behind the wakes of the last events: what has come to its end was sent by then.
  loop_->Post([this, &ended] {
    loop_->Post([this, &ended] {
      while (!followers_.empty()) (*followers_.begin())->End();
      ended.Notify();
    });
  });
  ended.WaitForNotification();
}

}  // namespace contree
