#ifndef LOCAL_BACKEND_SANDBOX_SECCOMP_FILTER_H_
#define LOCAL_BACKEND_SANDBOX_SECCOMP_FILTER_H_

// Which system calls a sandboxed command may not make: those that reach for the kernel's own
// administration (mounts, namespaces, modules, keys, tracing, io_uring) or have no meaning in a
// sandbox. They fail with EPERM, clone3 with ENOSYS, so that C libraries fall back to clone, whose
// flags can be looked at.

#include "absl/status/statusor.h"
#include "common/files/unique_fd.h"

namespace contree {

// The compiled filter in a memory file, for bwrap --seccomp. FailedPrecondition: libseccomp cannot
// make it here.
absl::StatusOr<UniqueFd> MakeSeccompFilter();

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_SECCOMP_FILTER_H_
