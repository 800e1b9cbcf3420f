#ifndef LOCAL_BACKEND_SANDBOX_SANDBOX_PROCESS_H_
#define LOCAL_BACKEND_SANDBOX_SANDBOX_PROCESS_H_

// One bubblewrap process and our ends of what leads into the sandbox. Used by one thread.

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/sandbox_init_protocol.h"

namespace contree {

struct SandboxProcess {
  pid_t pid = -1;
  UniqueFd pid_fd;   // readable once the process has ended, and with it all of its pid namespace
  UniqueFd control;  // to the init
  UniqueFd diagnostics;  // what bubblewrap complains about
};

struct SandboxLaunch {
  std::vector<std::string> command;  // of bubblewrap
  std::string mount_point;
  int root = -1;     // the detached mount to attach there, in a mount namespace of the child's own
  int network = -1;  // the network namespace of the child
  int input = -1;    // what becomes the child's stdin; -1: nothing
  std::vector<int> inherited;  // descriptors that stay open in the child, under their numbers
  UniqueFd control;            // our end of the socket, kept in SandboxProcess
  const RunCgroup* cgroup = nullptr;  // that the child starts in; null: in ours
};

// Forks and executes. The child dies with the calling thread. Internal: what the system said.
absl::StatusOr<SandboxProcess> LaunchSandbox(SandboxLaunch launch);

// Sends as much of `bytes` as goes without waiting, with `descriptors` (none or three) attached to
// the first. As send(2): how many, or -1 and errno.
ssize_t SendSome(int control, absl::string_view bytes, const std::vector<int>& descriptors);

// Sends one frame to the init, with `descriptors` (none or three) attached. Unavailable: the init
// is gone.
absl::Status SendFrame(int control, FrameType type, const std::string& payload,
                       const std::vector<int>& descriptors = {});

// The payload of kStart. InvalidArgument: a string has a NUL inside, or all are too long together.
absl::StatusOr<std::string> EncodeStart(uint32_t spid, uint32_t uid, uint32_t gid,
                                        const std::string& cwd,
                                        const std::vector<std::string>& argv,
                                        const std::vector<std::string>& environment,
                                        const RunRlimits& rlimits);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_SANDBOX_PROCESS_H_
