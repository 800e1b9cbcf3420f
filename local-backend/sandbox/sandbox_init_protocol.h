#ifndef LOCAL_BACKEND_SANDBOX_SANDBOX_INIT_PROTOCOL_H_
#define LOCAL_BACKEND_SANDBOX_SANDBOX_INIT_PROTOCOL_H_

// What the backend and the init process of a sandbox say to each other over a stream socket: a
// frame is a FrameHeader and `size` bytes. Both ends come from one build, so plain structs do.
//
// The backend sends kStart, with the three descriptors of the process (stdin, stdout, stderr)
// attached to the header's first byte; its payload is a StartRequest followed by NUL-terminated
// strings: cwd, argv, environment. It may start further processes and send signals (kSignal). The
// init answers kStarted for each, and kExited when one ends. When process 1 has ended, or the
// backend closes the socket, the init exits, and everything in the sandbox dies with it.

#include <cstdint>

namespace contree {

enum class FrameType : uint32_t {
  kStart = 1,
  kSignal = 2,
  kStarted = 3,
  kExited = 4,
  kLimits = 5,  // of a virtual machine's relay, last
};

inline constexpr uint32_t kMaxFrameBytes = 16 * 1024 * 1024;
inline constexpr uint32_t kMainProcess =
    1;  // the spid of the command that the sandbox was made for

struct FrameHeader {
  FrameType type;
  uint32_t size;
};

// 0: left as it is.
struct RunRlimits {
  uint64_t data_bytes;  // of each process
  uint64_t file_bytes;  // of each file
  uint64_t processes;   // of the user id, in all sandboxes together
};

struct StartRequest {
  uint32_t spid;
  uint32_t uid;
  uint32_t gid;
  uint32_t argument_count;
  uint32_t environment_count;
  RunRlimits rlimits;
};

// To the process with this spid and all that it started; spid 0: to everything in the sandbox.
struct SignalRequest {
  uint32_t spid;
  int32_t signal;
};

struct StartedReply {
  uint32_t spid;
  int32_t pid;  // in the sandbox; -1: no process could be made (error_number says why)
  int32_t error_number;
};

struct ExitedReply {
  uint32_t spid;
  int32_t wait_status;  // as waitpid gives it
  int64_t user_microseconds;
  int64_t system_microseconds;
  int64_t max_rss_kilobytes;
  int64_t minor_faults;
  int64_t major_faults;
  int64_t block_input_operations;
  int64_t block_output_operations;
  int64_t voluntary_switches;
  int64_t involuntary_switches;
};

// Which limits were reached that the machine's cgroups do not see.
struct LimitsReply {
  int64_t out_of_memory_kills;
  int64_t refused_processes;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_SANDBOX_INIT_PROTOCOL_H_
