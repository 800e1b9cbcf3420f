#include "local-backend/sandbox/vm_link.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace contree {
namespace {

constexpr size_t kReadSize = 64 * 1024;
// With so much to send nothing is read that would add to it.
constexpr size_t kEnoughUnsent = 256 * 1024;
// Credit is given back in pieces: a frame for every few bytes would cost more than it carries.
constexpr uint32_t kCreditPiece = kVmWindow / 4;

char* ReadBuffer() {
  static char buffer[kReadSize];
  return buffer;
}

}  // namespace

bool VmFrameParser::Feed(std::string_view bytes, const OnFrame& on_frame) {
  bytes_.append(bytes);
  size_t at = 0;
  VmFrameHeader header;
  while (bytes_.size() - at >= sizeof header) {
    memcpy(&header, bytes_.data() + at, sizeof header);
    if (header.size > MaxVmFrame(header.type, to_relay_)) return false;
    if (bytes_.size() - at < sizeof header + header.size) break;
    const std::string_view payload(bytes_.data() + at + sizeof header, header.size);
    if (!on_frame(header, payload)) return false;
    at += sizeof header + header.size;
  }
  bytes_.erase(0, at);
  return true;
}

VmLink::VmLink(Side side, int fd) : fd_(fd), parser_(/*to_relay=*/side == Side::kRelay) {}

VmLink::~VmLink() {
  for (const auto& [stream, source] : sources_) close(source.fd);
  for (const auto& [stream, sink] : sinks_) close(sink.fd);
}

void VmLink::Send(VmFrameType type, uint32_t stream, std::string_view payload) {
  const VmFrameHeader header = {
      .type = type, .stream = stream, .size = static_cast<uint32_t>(payload.size())};
  outgoing_.append(reinterpret_cast<const char*>(&header), sizeof header);
  outgoing_.append(payload);
}

void VmLink::AddSource(uint32_t stream, int fd) {
  Forget(sources_, stream);
  sources_.emplace(stream, Source{.fd = fd});
}

void VmLink::AddSink(uint32_t stream, int fd) {
  Forget(sinks_, stream);
  sinks_.emplace(stream, Sink{.fd = fd});
}

void VmLink::Forget(std::map<uint32_t, Source>& sources, uint32_t stream) {
  const auto found = sources.find(stream);
  if (found == sources.end()) return;
  close(found->second.fd);
  sources.erase(found);
}

void VmLink::Forget(std::map<uint32_t, Sink>& sinks, uint32_t stream) {
  const auto found = sinks.find(stream);
  if (found == sinks.end()) return;
  close(found->second.fd);
  sinks.erase(found);
}

void VmLink::EndSinks() {
  std::vector<uint32_t> streams;
  for (auto& [stream, sink] : sinks_) {
    sink.ended = true;
    streams.push_back(stream);
  }
  for (const uint32_t stream : streams) WriteSink(stream, sinks_.at(stream));
}

bool VmLink::ReadSource(uint32_t stream, Source& source, size_t at_most) {
  const size_t size =
      std::min({at_most, static_cast<size_t>(source.credit), static_cast<size_t>(kMaxVmData)});
  char* const buffer = ReadBuffer();
  const ssize_t got = read(source.fd, buffer, size);
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && errno == EAGAIN) return false;
  if (got <= 0) {
    Send(VmFrameType::kEnd, stream, {});
    Forget(sources_, stream);
    return false;
  }
  source.credit -= static_cast<uint32_t>(got);
  Send(VmFrameType::kData, stream, std::string_view(buffer, static_cast<size_t>(got)));
  return true;
}

bool VmLink::Drain(uint32_t stream, size_t& budget) {
  while (budget > 0) {
    const auto found = sources_.find(stream);
    if (found == sources_.end()) return true;
    const uint32_t credit = found->second.credit;
    if (credit == 0) return false;
    if (!ReadSource(stream, found->second, budget)) return true;
    budget -= credit - found->second.credit;
  }
  return true;
}

uint64_t VmLink::Received(uint32_t stream) const {
  const auto found = sinks_.find(stream);
  return found == sinks_.end() ? 0 : found->second.received;
}

bool VmLink::HasWritten(uint32_t stream, uint64_t bytes) const {
  const auto found = sinks_.find(stream);
  return found == sinks_.end() || found->second.written >= bytes;
}

void VmLink::WriteSink(uint32_t stream, Sink& sink) {
  size_t at = 0;
  while (at < sink.unwritten.size()) {
    const ssize_t written = write(sink.fd, sink.unwritten.data() + at, sink.unwritten.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    if (written < 0) {
      Send(VmFrameType::kGone, stream, {});
      return Forget(sinks_, stream);
    }
    at += static_cast<size_t>(written);
  }
  sink.unwritten.erase(0, at);
  sink.written += at;
  sink.owed += static_cast<uint32_t>(at);
  if (sink.unwritten.empty() && sink.ended) return Forget(sinks_, stream);
  if (sink.owed < kCreditPiece) return;
  Send(VmFrameType::kCredit, stream,
       std::string_view(reinterpret_cast<const char*>(&sink.owed), sizeof sink.owed));
  sink.owed = 0;
}

void VmLink::AppendTo(std::vector<pollfd>& polls) {
  polled_sources_.clear();
  polled_sinks_.clear();
  polls.push_back({.fd = fd_,
                   .events = static_cast<short>(unsent() > 0 ? POLLIN | POLLOUT : POLLIN),
                   .revents = 0});
  for (const auto& [stream, source] : sources_) {
    // A hangup would be told all the time; what cannot be read now is not asked about.
    if (source.credit == 0 || unsent() > kEnoughUnsent) continue;
    polls.push_back({.fd = source.fd, .events = POLLIN, .revents = 0});
    polled_sources_.push_back(stream);
  }
  // Without anything to write too: that nobody reads any more is told as an error.
  for (const auto& [stream, sink] : sinks_) {
    polls.push_back({.fd = sink.fd,
                     .events = static_cast<short>(sink.unwritten.empty() ? 0 : POLLOUT),
                     .revents = 0});
    polled_sinks_.push_back(stream);
  }
}

bool VmLink::Handle(const pollfd* polls, const OnFrame& on_frame) {
  const pollfd& own = *polls++;
  for (const uint32_t stream : polled_sources_) {
    const pollfd& polled = *polls++;
    const auto found = sources_.find(stream);
    if (polled.revents == 0 || found == sources_.end()) continue;
    ReadSource(stream, found->second, kMaxVmData);
  }
  for (const uint32_t stream : polled_sinks_) {
    const pollfd& polled = *polls++;
    const auto found = sinks_.find(stream);
    if (polled.revents == 0 || found == sinks_.end()) continue;
    if ((polled.revents & (POLLERR | POLLNVAL)) != 0) {
      Send(VmFrameType::kGone, stream, {});
      Forget(sinks_, stream);
    } else {
      WriteSink(stream, found->second);
    }
  }
  if ((own.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !Read(on_frame)) return false;
  return Write();
}

bool VmLink::Read(const OnFrame& on_frame) {
  char* const buffer = ReadBuffer();
  const ssize_t got = read(fd_, buffer, kReadSize);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) return false;
  // A callback may read a source into the buffer.
  const std::string bytes(buffer, static_cast<size_t>(got));
  const bool fed = parser_.Feed(bytes, [&](const VmFrameHeader& header, std::string_view payload) {
    switch (header.type) {
      case VmFrameType::kData:
      case VmFrameType::kEnd:
      case VmFrameType::kCredit:
      case VmFrameType::kGone:
        return OnStreamFrame(header, payload);
      default:
        return on_frame(header, payload);
    }
  });
  if (!fed) broken_ = true;
  return fed;
}

bool VmLink::Write() {
  while (unsent() > 0) {
    const ssize_t written = write(fd_, outgoing_.data() + sent_, unsent());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    if (written <= 0) return false;
    sent_ += static_cast<size_t>(written);
  }
  if (sent_ > kEnoughUnsent || unsent() == 0) {
    outgoing_.erase(0, sent_);
    sent_ = 0;
  }
  return true;
}

// What is said of a stream that has ended here meanwhile does not matter.
bool VmLink::OnStreamFrame(const VmFrameHeader& header, std::string_view payload) {
  if (header.type == VmFrameType::kData || header.type == VmFrameType::kEnd) {
    const auto found = sinks_.find(header.stream);
    if (found == sinks_.end()) return true;
    Sink& sink = found->second;
    if (sink.ended || sink.unwritten.size() + sink.owed + payload.size() > kVmWindow) return false;
    sink.unwritten.append(payload);
    sink.received += payload.size();
    sink.ended = header.type == VmFrameType::kEnd;
    WriteSink(header.stream, sink);
    return true;
  }
  const auto found = sources_.find(header.stream);
  if (header.type == VmFrameType::kGone) {
    if (found != sources_.end()) Forget(sources_, header.stream);
    return true;
  }
  uint32_t credit;
  if (payload.size() != sizeof credit) return false;
  memcpy(&credit, payload.data(), sizeof credit);
  if (found == sources_.end()) return true;
  if (credit > kVmWindow - found->second.credit) return false;
  found->second.credit += credit;
  return true;
}

}  // namespace contree
