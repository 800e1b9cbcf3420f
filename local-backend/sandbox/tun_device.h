#ifndef LOCAL_BACKEND_SANDBOX_TUN_DEVICE_H_
#define LOCAL_BACKEND_SANDBOX_TUN_DEVICE_H_

#include "absl/status/status.h"

namespace contree {

// Where only root may open /dev/net/tun and this process is root: shows itself, in a mount
// namespace of its own, one that anybody may open, because root of a user namespace is anybody to
// it. Does nothing elsewhere. Call it while the process has one thread. FailedPrecondition: it
// cannot be made; sandboxes will have no network then.
absl::Status MakeTunDeviceReachable();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_TUN_DEVICE_H_
