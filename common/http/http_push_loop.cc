#include "common/http/http_push_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace contree {
namespace {

constexpr size_t kMaxBehind = 1024 * 1024;
constexpr uint32_t kAlways = EPOLLRDHUP;  // besides EPOLLHUP and EPOLLERR, which always come
constexpr uint32_t kWritable = EPOLLOUT;

absl::Status ErrnoError(absl::string_view what) {
  return absl::ResourceExhaustedError(absl::StrCat(what, ": ", std::strerror(errno)));
}

}  // namespace

class HttpPushLoop::Push final : public HttpPush {
 public:
  Push(int epoll, std::unique_ptr<HttpDetachedStream> stream, HttpPushOptions options)
      : epoll_(epoll), options_(std::move(options)), stream_(std::move(stream)) {}

  void Write(absl::string_view bytes) override {
    absl::MutexLock lock(&mutex_);
    if (over_ || bytes.empty()) return;
    stream_->Write(bytes);
    written_at_ = absl::Now();
    WaitForRoom();
  }

  void End() override {
    absl::MutexLock lock(&mutex_);
    if (over_) return;
    over_ = true;
    stream_->Finish();
    WaitForRoom();
  }

  void Flush() {
    absl::MutexLock lock(&mutex_);
    if (stream_ == nullptr) return;
    stream_->Flush();
    WaitForRoom();
  }

  // The moment at which it has to be heard of again.
  absl::Time KeepAlive(absl::Time now) {
    if (options_.keep_alive.empty()) return absl::InfiniteFuture();
    {
      absl::MutexLock lock(&mutex_);
      if (now < written_at_ + options_.keep_alive_after) {
        return written_at_ + options_.keep_alive_after;
      }
    }
    Write(options_.keep_alive);
    return now + options_.keep_alive_after;
  }

  // Only the loop.
  void Close() {
    {
      absl::MutexLock lock(&mutex_);
      over_ = true;
      stream_ = nullptr;
    }
    if (options_.closed != nullptr) options_.closed();
  }

 private:
  void WaitForRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const size_t unsent = stream_->unsent();
    if (unsent > kMaxBehind || (unsent == 0 && over_)) {
      // The loop hears of it and closes. What was sent still arrives.
      over_ = true;
      shutdown(stream_->socket(), SHUT_RDWR);
      return;
    }
    const bool waits = unsent > 0;
    if (waits == std::exchange(waits_, waits)) return;
    epoll_event event = {};
    event.events = kAlways | (waits ? kWritable : 0U);
    event.data.fd = stream_->socket();
    epoll_ctl(epoll_, EPOLL_CTL_MOD, stream_->socket(), &event);
  }

  const int epoll_;
  const HttpPushOptions options_;
  absl::Mutex mutex_;
  std::unique_ptr<HttpDetachedStream> stream_ ABSL_GUARDED_BY(mutex_);  // null: closed
  absl::Time written_at_ ABSL_GUARDED_BY(mutex_) = absl::Now();
  bool waits_ ABSL_GUARDED_BY(mutex_) = false;  // for room to write
  bool over_ ABSL_GUARDED_BY(mutex_) = false;   // nothing more is taken
};

absl::StatusOr<std::unique_ptr<HttpPushLoop>> HttpPushLoop::Start() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return ErrnoError("epoll_create1");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_open()) return ErrnoError("eventfd");
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = wake.get();
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return ErrnoError("epoll_ctl");
  std::unique_ptr<HttpPushLoop> loop(new HttpPushLoop(std::move(epoll), std::move(wake)));
  try {
    loop->thread_ = std::thread([loop = loop.get()] { loop->Run(); });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("no thread: ", error.what()));
  }
  return loop;
}

HttpPushLoop::HttpPushLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

HttpPushLoop::~HttpPushLoop() { Stop(); }

std::shared_ptr<HttpPush> HttpPushLoop::Add(std::unique_ptr<HttpDetachedStream> stream,
                                            HttpPushOptions options) {
  const int fd = stream->socket();
  auto push = std::make_shared<Push>(epoll_.get(), std::move(stream), std::move(options));
  bool taken = false;
  {
    absl::MutexLock lock(&mutex_);
    epoll_event event = {};
    event.events = kAlways;
    event.data.fd = fd;
    taken = !stopping_ && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
    if (taken) pushes_[fd] = push;
  }
  if (!taken) return nullptr;
  // Its keep-alive may be the next.
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  return push;
}

void HttpPushLoop::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
}

absl::Time HttpPushLoop::KeepAlive(absl::Time now) {
  std::vector<std::shared_ptr<Push>> pushes;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [fd, push] : pushes_) pushes.push_back(push);
  }
  absl::Time next = absl::InfiniteFuture();
  for (const auto& push : pushes) next = std::min(next, push->KeepAlive(now));
  return next;
}

void HttpPushLoop::Close(int fd) {
  std::shared_ptr<Push> push;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = pushes_.find(fd);
    if (found == pushes_.end()) return;
    push = std::move(found->second);
    pushes_.erase(found);
  }
  push->Close();
}

void HttpPushLoop::Run() {
  absl::Time keep_alive_at = absl::InfinitePast();
  while (true) {
    const absl::Time now = absl::Now();
    if (now >= keep_alive_at) keep_alive_at = KeepAlive(now);
    // A little late rather than a turn too early.
    const int64_t wait_ms = keep_alive_at == absl::InfiniteFuture()
                                ? -1
                                : absl::ToInt64Milliseconds(keep_alive_at - absl::Now()) + 1;
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(epoll_.get(), events.data(), events.size(),
                                 static_cast<int>(std::max<int64_t>(wait_ms, -1)));
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      const int fd = event.data.fd;
      if (fd == wake_.get()) {
        uint64_t drained = 0;
        [[maybe_unused]] const ssize_t got = read(wake_.get(), &drained, sizeof drained);
        keep_alive_at = absl::InfinitePast();  // look again
        continue;
      }
      if ((event.events & ~kWritable) != 0) {
        Close(fd);
        continue;
      }
      std::shared_ptr<Push> push;
      {
        absl::MutexLock lock(&mutex_);
        const auto found = pushes_.find(fd);
        if (found != pushes_.end()) push = found->second;
      }
      if (push != nullptr) push->Flush();
    }
    std::vector<int> left;
    {
      absl::MutexLock lock(&mutex_);
      if (!stopping_) continue;
      for (const auto& [fd, push] : pushes_) left.push_back(fd);
    }
    for (const int fd : left) Close(fd);
    return;
  }
}

}  // namespace contree
