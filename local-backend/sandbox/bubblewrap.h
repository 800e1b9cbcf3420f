#ifndef LOCAL_BACKEND_SANDBOX_BUBBLEWRAP_H_
#define LOCAL_BACKEND_SANDBOX_BUBBLEWRAP_H_

// The command line of bubblewrap, which makes the namespaces of one sandbox, except that of the
// network: that is its own already. Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace contree {

struct BubblewrapOptions {
  std::string program;  // an absolute path
  std::string root;     // the directory that becomes /
  std::string hostname;
  int64_t shared_memory_bytes = 0;  // what /dev/shm may grow to; 0: half of the machine's memory
  std::vector<std::string> masked_files;  // below /proc, to be empty and unreadable
  std::vector<std::string> masked_directories;
  int seccomp_fd = -1;  // inherited: the filter
  int init_fd = -1;     // inherited: the program that becomes process 1
  int control_fd = -1;  // inherited: the init's socket to us
};

// Sets masked_files and masked_directories to what this kernel has that says something about the
// whole machine.
void MaskProc(BubblewrapOptions& options);

std::vector<std::string> BubblewrapCommand(const BubblewrapOptions& options);

// What root in a sandbox may do; the same in every tier.
std::vector<std::string> SandboxCapabilities();

// The absolute path of a program that isolation needs, given its path or its name on the PATH.
// FailedPrecondition: it is not there; the message says to install `package`.
absl::StatusOr<std::string> FindIsolationProgram(const std::string& name,
                                                 const std::string& package);

// The absolute path of bubblewrap, given its path or its name on the PATH.
// FailedPrecondition: it is not there; the message says what to install.
absl::StatusOr<std::string> FindBubblewrap(const std::string& name);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_BUBBLEWRAP_H_
