#ifndef LOCAL_BACKEND_SANDBOX_KVM_DEVICE_H_
#define LOCAL_BACKEND_SANDBOX_KVM_DEVICE_H_

#include <string>

#include "absl/status/status.h"

namespace contree {

// Where only root may open /dev/kvm: shows this process, in a mount namespace of its own, a node of
// that device that everybody may open, as root in a user namespace is nobody to the device. Before
// the user namespace is entered, with one thread. Ok too where there is no such device, or nothing
// to be done. `directory`: an existing one, which is mounted on for a moment. FailedPrecondition:
// it cannot be done; the message says why.
absl::Status MakeKvmDeviceReachable(const std::string& directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_KVM_DEVICE_H_
