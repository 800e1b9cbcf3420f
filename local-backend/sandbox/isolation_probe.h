#ifndef LOCAL_BACKEND_SANDBOX_ISOLATION_PROBE_H_
#define LOCAL_BACKEND_SANDBOX_ISOLATION_PROBE_H_

#include <string>

#include "absl/status/status.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

// Runs a program in a sandbox to its end, in a directory made for that below `directory` and
// removed afterwards. FailedPrecondition: commands cannot be isolated here; the message says why.
absl::Status ProbeIsolation(SandboxLauncher& launcher, const std::string& directory,
                            const std::string& empty_directory);

// The same for a launcher with runsc: the program asks its kernel who it is, and only gVisor's
// answer will do.
absl::Status ProbeGvisor(SandboxLauncher& launcher, const std::string& directory,
                         const std::string& empty_directory);

// The same for a launcher of virtual machines: the program asks its kernel what it was started
// with, and only `mark`, which this launcher's guests are started with, will do.
absl::Status ProbeMicrovm(SandboxLauncher& launcher, const std::string& directory,
                          const std::string& empty_directory, const std::string& mark);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_ISOLATION_PROBE_H_
