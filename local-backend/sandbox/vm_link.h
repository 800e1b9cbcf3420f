#ifndef LOCAL_BACKEND_SANDBOX_VM_LINK_H_
#define LOCAL_BACKEND_SANDBOX_VM_LINK_H_

// One end of the serial port between a virtual machine's relay and its agent: frames and, over
// them, the streams of processes with their flow control. The same code at both ends. It is linked
// into programs that hold no library of ours: nothing of absl. Used by one thread.

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "local-backend/sandbox/vm_link_protocol.h"

namespace contree {

// Takes bytes, gives frames.
class VmFrameParser {
 public:
  explicit VmFrameParser(bool to_relay) : to_relay_(to_relay) {}

  using OnFrame = std::function<bool(const VmFrameHeader& header, std::string_view payload)>;
  // False: they are not frames, or on_frame said false. Nothing may be fed afterwards.
  bool Feed(std::string_view bytes, const OnFrame& on_frame);

 private:
  const bool to_relay_;
  std::string bytes_;
};

class VmLink {
 public:
  enum class Side { kRelay, kAgent };

  // `fd` does not block, and outlives it.
  VmLink(Side side, int fd);
  ~VmLink();  // closes the streams' descriptors
  VmLink(const VmLink&) = delete;
  VmLink& operator=(const VmLink&) = delete;

  // Queues a frame.
  void Send(VmFrameType type, uint32_t stream, std::string_view payload);
  size_t unsent() const { return outgoing_.size() - sent_; }

  // Sends what is read from `fd`, which becomes the link's, to its end.
  void AddSource(uint32_t stream, int fd);
  // Writes to `fd`, which becomes the link's, what comes, to its end.
  void AddSink(uint32_t stream, int fd);
  bool has_sources() const { return !sources_.empty(); }
  bool has_sinks() const { return !sinks_.empty(); }
  // Ends all that is still to come for sinks: the other end is gone.
  void EndSinks();

  // Sends what the source has at this moment, at most `budget` bytes, which is lowered by it.
  // False: credit is missing, and there may be more.
  bool Drain(uint32_t stream, size_t& budget);
  // How many bytes came for the sink, and whether so many were written (or nobody wants them).
  uint64_t Received(uint32_t stream) const;
  bool HasWritten(uint32_t stream, uint64_t bytes) const;

  // For poll(2): what is waited for, appended; then, in the same order, what was found.
  void AppendTo(std::vector<pollfd>& polls);
  using OnFrame = VmFrameParser::OnFrame;
  // on_frame gets what is not about streams. False: the link has ended, or the other end breaks
  // the rules; broken() tells which.
  bool Handle(const pollfd* polls, const OnFrame& on_frame);
  bool broken() const { return broken_; }

 private:
  struct Source {
    int fd;
    uint32_t credit = kVmWindow;
  };
  struct Sink {
    int fd;
    std::string unwritten = {};
    uint32_t owed = 0;  // written, and no credit given yet
    uint64_t received = 0;
    uint64_t written = 0;
    bool ended = false;
  };

  bool Read(const OnFrame& on_frame);
  bool Write();
  bool OnStreamFrame(const VmFrameHeader& header, std::string_view payload);
  // Returns whether there may be more at once.
  bool ReadSource(uint32_t stream, Source& source, size_t at_most);
  void WriteSink(uint32_t stream, Sink& sink);
  void Forget(std::map<uint32_t, Source>& sources, uint32_t stream);
  void Forget(std::map<uint32_t, Sink>& sinks, uint32_t stream);

  const int fd_;
  VmFrameParser parser_;
  std::string outgoing_;
  size_t sent_ = 0;
  std::map<uint32_t, Source> sources_;
  std::map<uint32_t, Sink> sinks_;
  std::vector<uint32_t> polled_sources_;
  std::vector<uint32_t> polled_sinks_;
  bool broken_ = false;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_VM_LINK_H_
