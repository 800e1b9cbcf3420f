#ifndef LOCAL_BACKEND_SANDBOX_SANDBOX_H_
#define LOCAL_BACKEND_SANDBOX_SANDBOX_H_

// Runs one command on an overlay in namespaces of its own: processes, mounts, network (loopback
// only), IPC, hostname, with few capabilities and system calls. When Run returns, nothing of the
// sandbox is alive.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/cancel_event.h"
#include "local-backend/sandbox/overlay.h"
#include "local-backend/sandbox/sandbox_init_protocol.h"

namespace contree {

struct SandboxSpec {
  OverlayMount root;  // writable
  std::string hostname;
  std::vector<std::string> argv;         // argv[0] is looked up on the PATH of `environment`
  std::vector<std::string> environment;  // NAME=value
  std::string cwd = "/";                 // made where it is missing
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string stdin_bytes;  // then its end
  absl::Duration timeout = absl::InfiniteDuration();
};

enum class OutputStream { kStdout, kStderr };

// What happens meanwhile, on the thread that called Run.
struct SandboxEvents {
  std::function<void(int pid)> on_started;  // the command's process id as the sandbox sees it
  std::function<void(OutputStream stream, absl::string_view bytes)> on_output;
};

// How the command ended. One that does not exist or cannot be executed is an end too: exit code 127
// or 126, and the reason on stderr.
struct SandboxExit {
  int pid = 0;
  int exit_code = -1;  // -1: a signal ended it
  int signal = -1;     // -1: none
  bool core_dump = false;
  bool timed_out = false;  // killed when the timeout passed
  absl::Duration elapsed;
  ExitedReply usage = {};
};

// Thread-safe.
class SandboxLauncher {
 public:
  struct Options {
    std::string bubblewrap = "bwrap";  // a path, or a name on the PATH
    std::string
        mount_point;  // an empty directory; sandboxes attach their root there, each for itself
  };

  // FailedPrecondition: something that isolation needs is missing; the message says what.
  static absl::StatusOr<std::unique_ptr<SandboxLauncher>> Create(const Options& options);

  // Runs the command to its end; the calling thread is the sandbox's keeper: were it to die, all in
  // it would. Cancelled: cancel was asked for, and everything was killed. FailedPrecondition: the
  // sandbox cannot be made. ResourceExhausted: the image has too many layers. Internal: the sandbox
  // died without a report.
  absl::StatusOr<SandboxExit> Run(const SandboxSpec& spec, const CancelEvent& cancel,
                                  const SandboxEvents& events);

 private:
  SandboxLauncher(std::string bubblewrap, std::string mount_point, UniqueFd seccomp_filter,
                  UniqueFd init);

  const std::string bubblewrap_;
  const std::string mount_point_;
  const UniqueFd seccomp_filter_;
  const UniqueFd init_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_SANDBOX_H_
