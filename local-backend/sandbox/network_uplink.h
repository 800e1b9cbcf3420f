#ifndef LOCAL_BACKEND_SANDBOX_NETWORK_UPLINK_H_
#define LOCAL_BACKEND_SANDBOX_NETWORK_UPLINK_H_

// The way out of sandboxes: for each one a process that is its network stack (network_stack.cc) and
// turns what it sends into sockets of this user. It is started by the first packet that wants out,
// which waits for it, so that a command that never speaks costs next to nothing. Nothing leads in,
// and this machine's own addresses are out of reach.

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

namespace contree {

struct NetworkCounters;

// The program. Thread-safe.
class NetworkStackProgram {
 public:
  // Has it answer once. FailedPrecondition: sandboxes cannot have a way out here; the message says
  // why and what to do.
  static absl::StatusOr<std::unique_ptr<NetworkStackProgram>> Create();

  // Whether it can ask somebody for names.
  bool has_nameserver() const { return has_nameserver_; }

  // Starts it; its stderr goes to `complaints`. Internal and others: what the system said.
  absl::StatusOr<pid_t> Start(int tap, int counters, int complaints) const;

 private:
  NetworkStackProgram(UniqueFd program, bool has_nameserver)
      : program_(std::move(program)), has_nameserver_(has_nameserver) {}

  const UniqueFd program_;
  const bool has_nameserver_;
};

// Of the sandbox's interface, as the sandbox sees it.
struct NetworkTraffic {
  int64_t sent_bytes = 0;
  int64_t sent_packets = 0;
  int64_t received_bytes = 0;
  int64_t received_packets = 0;
};

// That of one sandbox. Used by one thread.
class NetworkUplink {
 public:
  // `program` outlives it.
  NetworkUplink(UniqueFd tap, const NetworkStackProgram& program);
  ~NetworkUplink();  // ends the stack
  NetworkUplink(const NetworkUplink&) = delete;
  NetworkUplink& operator=(const NetworkUplink&) = delete;

  // Readable when something wants out, which is the time to Begin: to start the stack. -1
  // afterwards.
  int tap() const { return tap_.get(); }
  void Begin();

  // The tap, if it was never used.
  UniqueFd TakeUnusedTap() { return std::move(tap_); }

  NetworkTraffic traffic() const;
  // OK, or why there is no way out any more.
  absl::Status Check();

 private:
  const NetworkStackProgram& program_;
  UniqueFd tap_;  // until the stack has it
  pid_t pid_ = -1;
  NetworkCounters* counters_ = nullptr;
  absl::Status status_;
};

// Whether the text of a resolv.conf names a nameserver that libslirp uses.
bool NamesANameserver(absl::string_view resolv_conf);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NETWORK_UPLINK_H_
