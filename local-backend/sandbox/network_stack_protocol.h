#ifndef LOCAL_BACKEND_SANDBOX_NETWORK_STACK_PROTOCOL_H_
#define LOCAL_BACKEND_SANDBOX_NETWORK_STACK_PROTOCOL_H_

// What the backend and the process that is a sandbox's network stack (network_stack.cc) share. Both
// come from one build.

#include <atomic>
#include <cstdint>

namespace contree {

// Descriptors that it starts with.
inline constexpr int kTapDescriptor = 3;
inline constexpr int kCountersDescriptor = 4;  // a file of the size of NetworkCounters

// Of the sandbox's interface, as the sandbox sees it; in memory that both have mapped.
struct NetworkCounters {
  std::atomic<int64_t> sent_bytes;
  std::atomic<int64_t> sent_packets;
  std::atomic<int64_t> received_bytes;
  std::atomic<int64_t> received_packets;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NETWORK_STACK_PROTOCOL_H_
