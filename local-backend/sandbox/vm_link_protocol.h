#ifndef LOCAL_BACKEND_SANDBOX_VM_LINK_PROTOCOL_H_
#define LOCAL_BACKEND_SANDBOX_VM_LINK_PROTOCOL_H_

// What the relay (vm_relay.cc), beside a virtual machine, and the agent (vm_agent.cc), process 1 in
// it, say to each other over one serial port: a frame is a VmFrameHeader and `size` bytes. Both
// come from one build, so plain structs do; still the relay takes the agent for hostile, as it may
// be any program in the guest that speaks.
//
// The agent begins with kReady, the relay answers kSetUp. Then the frames of
// sandbox_init_protocol.h travel as kControl, without descriptors: the three streams of a process
// are frames with its stream numbers. Of each stream no more than kVmWindow bytes are under way:
// who receives gives credit back for what it passed on. The agent ends with kDone once nothing runs
// and all that was written has reached the machine's files.

#include <cstddef>
#include <cstdint>

#include "local-backend/sandbox/sandbox_init_protocol.h"

namespace contree {

enum class VmFrameType : uint32_t {
  kReady = 1,  // to the relay
  kSetUp,      // to the agent: a VmSetUp, then the hostname
  kControl,    // both ways: a FrameHeader and its payload
  kData,       // bytes of a stream
  kEnd,        // no more comes of it
  kCredit,     // uint32_t: so many bytes of it were passed on
  kGone,       // nobody takes more of it
  kDone,       // to the relay: a LimitsReply
  kFailed,     // to the relay: why the guest cannot serve, a text
};

struct VmFrameHeader {
  VmFrameType type;
  uint32_t stream;  // of kData, kEnd, kCredit, kGone; else 0
  uint32_t size;
};

struct VmSetUp {
  int64_t realtime_nanoseconds;  // since the epoch
  int64_t memory_bytes;          // 0: no bound but the machine's memory
  int64_t processes;             // 0: no bound
};

// Streams of a process: stdin goes to the guest, the others come from it.
enum class VmStream : uint32_t { kStdin = 0, kStdout = 1, kStderr = 2 };

inline constexpr uint32_t kMaxVmSpid = (uint32_t{1} << 30) - 1;
constexpr uint32_t VmStreamNumber(uint32_t spid, VmStream stream) {
  return spid * 4 + static_cast<uint32_t>(stream);
}

inline constexpr uint32_t kVmWindow = 128 * 1024;
inline constexpr uint32_t kMaxVmData = 32 * 1024;  // of one kData
inline constexpr uint32_t kMaxVmFailure = 1024;

// What the two programs find open when they start: the relay's own, and those of what it starts.
inline constexpr int kVmSerialFd = 10;  // of QEMU: the serial port's other end
inline constexpr int kVmFilesFd = 11;   // of QEMU: the connection to virtiofsd; of that: the socket
                                        // it listens on

// What a frame to the relay, or to the agent, may have at most behind its header.
constexpr uint32_t MaxVmFrame(VmFrameType type, bool to_relay) {
  switch (type) {
    case VmFrameType::kControl:
      return sizeof(FrameHeader) +
             (to_relay ? static_cast<uint32_t>(sizeof(ExitedReply)) : kMaxFrameBytes);
    case VmFrameType::kData:
      return kMaxVmData;
    case VmFrameType::kCredit:
      return sizeof(uint32_t);
    case VmFrameType::kSetUp:
      return to_relay ? 0 : sizeof(VmSetUp) + 256;
    case VmFrameType::kDone:
      return to_relay ? sizeof(LimitsReply) : 0;
    case VmFrameType::kFailed:
      return to_relay ? kMaxVmFailure : 0;
    case VmFrameType::kReady:
    case VmFrameType::kEnd:
    case VmFrameType::kGone:
      return 0;
  }
  return 0;
}

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_VM_LINK_PROTOCOL_H_
