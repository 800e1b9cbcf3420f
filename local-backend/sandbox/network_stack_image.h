#ifndef LOCAL_BACKEND_SANDBOX_NETWORK_STACK_IMAGE_H_
#define LOCAL_BACKEND_SANDBOX_NETWORK_STACK_IMAGE_H_

// The program network_stack, which is carried inside this one. Thread-safe.

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"

namespace contree {

absl::StatusOr<UniqueFd> MakeNetworkStackFile();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_NETWORK_STACK_IMAGE_H_
