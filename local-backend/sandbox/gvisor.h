#ifndef LOCAL_BACKEND_SANDBOX_GVISOR_H_
#define LOCAL_BACKEND_SANDBOX_GVISOR_H_

// The tier --isolation=gvisor: the kernel that a command sees is gVisor's, a program (runsc) that
// itself runs in namespaces made by bubblewrap, which show it the image of the run, our init and
// nothing else of this machine. Process 1 in there is the same init as in the default tier: it gets
// its socket to us as stdin, and the pipes of processes through it. Thread-safe.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace contree {

struct GvisorOptions {
  std::string bubblewrap;  // absolute paths
  std::string runsc;
  std::string root;    // the directory that becomes / of the command
  int init_fd = -1;    // inherited, each read to its end: the program that becomes process 1,
  int config_fd = -1;  // and GvisorConfig's text
};

// Its stdin must be the init's socket to us.
std::vector<std::string> GvisorCommand(const GvisorOptions& options);

// The config.json of the OCI bundle.
std::string GvisorConfig(const std::string& hostname);

// Makes `directory`, a layer below all others of a run: it has the directories that runsc wants to
// mount on, so that it does not make them in the image.
absl::Status MakeGvisorSkeleton(const std::string& directory);

// Whether an image can be run: what is mounted on are directories. FailedPrecondition: it cannot,
// the message says why. `root`: the run's overlay.
absl::Status CheckGvisorRoot(int root);

// The absolute path of runsc, given its path or its name on the PATH. FailedPrecondition: it is not
// there; the message says what to install.
absl::StatusOr<std::string> FindRunsc(const std::string& name);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_GVISOR_H_
