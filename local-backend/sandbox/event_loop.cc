#include "local-backend/sandbox/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace contree {
namespace {

constexpr EventLoop::WatchId kWake = 0;
constexpr int kEventsPerTurn = 64;
constexpr absl::Duration kLongestWait = absl::Hours(1);

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Start() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return absl::ErrnoToStatus(errno, "epoll_create1");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_open()) return absl::ErrnoToStatus(errno, "eventfd");
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = kWake}};
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return absl::ErrnoToStatus(errno, "epoll_ctl");
  }
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(wake)));
  loop->thread_ = std::thread([raw = loop.get()] { raw->Run(); });
  return loop;
}

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

EventLoop::~EventLoop() {
  {
    const absl::MutexLock lock(&mutex_);
    ends_ = true;
  }
  const uint64_t one = 1;
  // Fails only where the counter is full, and then it wakes anyway.
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  thread_.join();
}

void EventLoop::Post(std::function<void()> task) {
  bool wakes;
  {
    const absl::MutexLock lock(&mutex_);
    wakes = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (!wakes || std::this_thread::get_id() == thread_.get_id()) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

absl::StatusOr<EventLoop::WatchId> EventLoop::Watch(int fd, uint32_t events,
                                                    std::function<void()> callback) {
  const WatchId id = ++last_id_;
  epoll_event event = {.events = events, .data = {.u64 = id}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot watch a descriptor: ", strerror(errno)));
  }
  watched_[id] = std::make_shared<Watched>(Watched{fd, std::move(callback)});
  return id;
}

void EventLoop::Unwatch(WatchId id) {
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  // Said explicitly: a child between fork and exec may hold the descriptor too, and then closing it
  // here does not end the watching.
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second->fd, nullptr);
  watched_.erase(found);
}

EventLoop::TimerId EventLoop::CallAt(absl::Time time, std::function<void()> callback) {
  const TimerId id = {time, ++last_id_};
  timers_.emplace(id, std::move(callback));
  return id;
}

void EventLoop::CancelTimer(const TimerId& id) { timers_.erase(id); }

int EventLoop::MillisecondsToNextTimer() {
  {
    const absl::MutexLock lock(&mutex_);
    if (!posted_.empty()) return 0;
  }
  if (timers_.empty()) return -1;
  const absl::Duration left = timers_.begin()->first.first - absl::Now();
  if (left <= absl::ZeroDuration()) return 0;
  // A millisecond more: waking early would only spin.
  return static_cast<int>(absl::ToInt64Milliseconds(std::min(left, kLongestWait))) + 1;
}

void EventLoop::RunPosted() {
  std::vector<std::function<void()>> tasks;
  {
    const absl::MutexLock lock(&mutex_);
    tasks.swap(posted_);
  }
  for (const std::function<void()>& task : tasks) task();
}

void EventLoop::Run() {
  epoll_event events[kEventsPerTurn];
  while (true) {
    const int count = epoll_wait(epoll_.get(), events, kEventsPerTurn, MillisecondsToNextTimer());
    {
      const absl::MutexLock lock(&mutex_);
      if (ends_) return;
    }
    for (int i = 0; i < count; ++i) {
      if (events[i].data.u64 == kWake) {
        uint64_t ignored;
        [[maybe_unused]] const ssize_t got = read(wake_.get(), &ignored, sizeof ignored);
        continue;
      }
      const auto found = watched_.find(events[i].data.u64);
      if (found == watched_.end()) continue;                   // a callback of this turn ended it
      const std::shared_ptr<Watched> watched = found->second;  // it may unwatch itself
      watched->callback();
    }
    RunPosted();
    const absl::Time now = absl::Now();
    while (!timers_.empty() && timers_.begin()->first.first <= now) {
      const std::function<void()> callback = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      callback();
    }
  }
}

}  // namespace contree
