#ifndef LOCAL_BACKEND_SANDBOX_NETWORK_NAMESPACE_H_
#define LOCAL_BACKEND_SANDBOX_NETWORK_NAMESPACE_H_

// The network of one sandbox. Thread-safe.

#include <deque>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/event_loop.h"

namespace contree {

struct NetworkNamespace {
  UniqueFd fd;   // for setns
  UniqueFd tap;  // the other end of its eth0, one Ethernet frame for each read and write, not
                 // blocking; closed: there is only loopback
  std::vector<UniqueFd> records;  // files of the kernel's that count what happens in it
};

// A new one, loopback up, in which everybody may ping and bind any port. With a tap: it has the
// address in network_addresses.h and a default route, and whatever is sent waits in `tap` until
// somebody reads it. FailedPrecondition: this machine does not allow it; the message says what is
// missing.
absl::StatusOr<NetworkNamespace> MakeNetworkNamespace(bool with_tap);

// What the kernel has counted in it: packets of each device, and all that its protocols have done.
// Empty: it cannot be read.
std::string ReadRecords(const NetworkNamespace& network);

// Makes network namespaces, and hands those out again in which nothing was ever sent: most commands
// have no use for a network, and making and ending one costs the kernel as much as starting the
// command does.
class NetworkNamespaces {
 public:
  // What takes long to close is closed on the thread of `disposal`, which outlives this.
  explicit NetworkNamespaces(EventLoop& disposal) : disposal_(disposal) {}

  // One in which nothing has happened. Errors: as MakeNetworkNamespace.
  absl::StatusOr<NetworkNamespace> Take(bool with_tap);
  // One from Take, whose processes have all ended, with the tap that it came with.
  void GiveBack(NetworkNamespace network);

 private:
  EventLoop& disposal_;
  absl::Mutex mutex_;
  std::deque<NetworkNamespace> unused_[2] ABSL_GUARDED_BY(mutex_);  // without and with a tap
  std::string as_new_[2] ABSL_GUARDED_BY(mutex_);  // what ReadRecords says of such a new one
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NETWORK_NAMESPACE_H_
