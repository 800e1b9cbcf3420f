#ifndef LOCAL_BACKEND_SANDBOX_VM_PROGRAMS_IMAGE_H_
#define LOCAL_BACKEND_SANDBOX_VM_PROGRAMS_IMAGE_H_

// The programs vm_relay and vm_agent, which are carried inside this one. Thread-safe.

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"

namespace contree {

absl::string_view VmAgentBytes();

// A memory file with the relay, sealed.
absl::StatusOr<UniqueFd> MakeVmRelayFile();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_VM_PROGRAMS_IMAGE_H_
