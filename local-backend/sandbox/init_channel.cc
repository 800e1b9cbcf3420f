#include "local-backend/sandbox/init_channel.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "local-backend/sandbox/sandbox_process.h"

namespace contree {

absl::Status InitChannel::Begin(const std::shared_ptr<void>& owner, Events events) {
  owner_ = owner;
  const auto watch = loop_.Watch(socket_.get(), EPOLLIN,
                                 [this, owner, events = std::move(events)] { Receive(events); });
  if (!watch.ok()) {
    Close();
    return watch.status();
  }
  readable_ = *watch;
  return absl::OkStatus();
}

absl::Status InitChannel::Send(FrameType type, absl::string_view payload,
                               std::vector<UniqueFd> descriptors) {
  if (!is_open()) return absl::OkStatus();
  const FrameHeader header = {.type = type, .size = static_cast<uint32_t>(payload.size())};
  Frame frame = {.bytes = std::string(reinterpret_cast<const char*>(&header), sizeof header),
                 .descriptors = std::move(descriptors)};
  frame.bytes.append(payload.data(), payload.size());
  outgoing_.push_back(std::move(frame));
  return Flush();
}

void InitChannel::ForgetUnsent() {
  while (!outgoing_.empty() && outgoing_.back().sent == 0) outgoing_.pop_back();
}

void InitChannel::WatchNoMore(std::optional<EventLoop::WatchId>& watch) {
  if (watch.has_value()) loop_.Unwatch(*watch);
  watch.reset();
}

void InitChannel::Close() {
  WatchNoMore(readable_);
  WatchNoMore(writable_);
  writable_copy_.Reset();
  socket_.Reset();
  outgoing_.clear();
}

absl::Status InitChannel::Flush() {
  while (!outgoing_.empty()) {
    Frame& frame = outgoing_.front();
    std::vector<int> descriptors;
    for (const UniqueFd& fd : frame.descriptors) descriptors.push_back(fd.get());
    const ssize_t sent =
        SendSome(socket_.get(), absl::string_view(frame.bytes).substr(frame.sent), descriptors);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (sent < 0) {
      outgoing_.clear();  // the init is gone; its death says the rest
      break;
    }
    frame.descriptors.clear();
    frame.sent += static_cast<size_t>(sent);
    if (frame.sent == frame.bytes.size()) outgoing_.pop_front();
  }
  if (outgoing_.empty()) {
    WatchNoMore(writable_);
    writable_copy_.Reset();
    return absl::OkStatus();
  }
  if (writable_.has_value()) return absl::OkStatus();
  writable_copy_.Reset(fcntl(socket_.get(), F_DUPFD_CLOEXEC, 0));
  const auto watch = loop_.Watch(writable_copy_.get(), EPOLLOUT, [this, owner = owner_.lock()] {
    // It is watched already: nothing can be refused.
    (void)Flush();
  });
  if (!watch.ok()) {
    Close();
    return watch.status();
  }
  writable_ = *watch;
  return absl::OkStatus();
}

void InitChannel::Receive(const Events& events) {
  char bytes[4096];
  const ssize_t got = recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return;
  if (got <= 0) {
    Close();
    return events.on_end();
  }
  incoming_.append(bytes, static_cast<size_t>(got));
  size_t at = 0;
  FrameHeader header;
  while (incoming_.size() - at >= sizeof header) {
    memcpy(&header, incoming_.data() + at, sizeof header);
    // It talks nonsense.
    if (header.size > sizeof(ExitedReply)) {
      Close();
      return events.on_end();
    }
    if (incoming_.size() - at < sizeof header + header.size) break;
    const std::string payload = incoming_.substr(at + sizeof header, header.size);
    at += sizeof header + header.size;
    events.on_reply(header.type, payload);
    if (!is_open()) return;
  }
  incoming_.erase(0, at);
}

}  // namespace contree
