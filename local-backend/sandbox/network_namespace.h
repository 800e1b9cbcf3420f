#ifndef LOCAL_BACKEND_SANDBOX_NETWORK_NAMESPACE_H_
#define LOCAL_BACKEND_SANDBOX_NETWORK_NAMESPACE_H_

// The network of one sandbox. Thread-safe.

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"

namespace contree {

struct NetworkNamespace {
  UniqueFd fd;   // for setns
  UniqueFd tap;  // the other end of its eth0, one Ethernet frame for each read and write, not
                 // blocking; closed: there is only loopback
};

// A new one, loopback up, in which everybody may ping and bind any port. With a tap: it has the
// address in network_addresses.h and a default route, and whatever is sent waits in `tap` until
// somebody reads it. FailedPrecondition: this machine does not allow it; the message says what is
// missing.
absl::StatusOr<NetworkNamespace> MakeNetworkNamespace(bool with_tap);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NETWORK_NAMESPACE_H_
