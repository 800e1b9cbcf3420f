#ifndef LOCAL_BACKEND_SANDBOX_SANDBOX_H_
#define LOCAL_BACKEND_SANDBOX_SANDBOX_H_

// Runs commands on an overlay in namespaces of its own: processes, mounts, network (loopback,
// and a way out if wanted), IPC, hostname, with few capabilities and system calls. A sandbox is
// made for one command; others may be started beside it while it runs. When its end is told,
// nothing of the sandbox is alive.
//
// All sandboxes of a launcher are followed by one thread, which makes the callbacks: they must not
// block.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/cancel_event.h"
#include "local-backend/sandbox/disk_usage.h"
#include "local-backend/sandbox/event_loop.h"
#include "local-backend/sandbox/isolation_tier.h"
#include "local-backend/sandbox/microvm.h"
#include "local-backend/sandbox/network_namespace.h"
#include "local-backend/sandbox/network_uplink.h"
#include "local-backend/sandbox/overlay.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/sandbox_init_protocol.h"
#include "local-backend/sandbox/zygote.h"

namespace contree {

struct ProcessSpec {
  std::vector<std::string> argv;         // argv[0] is looked up on the PATH of `environment`
  std::vector<std::string> environment;  // NAME=value
  std::string cwd = "/";                 // made where it is missing
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string stdin_bytes;        // then its end, unless
  bool stdin_stays_open = false;  // for RunningSandbox::WriteStdin
};

// A sandbox and its command.
struct SandboxSpec : ProcessSpec {
  OverlayMount root;  // writable
  std::string hostname;
  absl::Duration timeout = absl::InfiniteDuration();
  // What root.upper may grow to, give or take what is written between two looks at it; 0: no bound.
  int64_t disk_bytes = 0;
  bool networking = false;  // a way out, where the launcher has one
};

enum class OutputStream { kStdout, kStderr };

// How the command ended. One that does not exist or cannot be executed is an end too: exit code 127
// or 126, and the reason on stderr.
struct SandboxExit {
  int pid = 0;
  int exit_code = -1;  // -1: a signal ended it
  int signal = -1;     // -1: none
  bool core_dump = false;
  bool timed_out = false;  // killed when the timeout passed
  absl::Duration elapsed;
  ExitedReply usage = {};           // processor time: of all that ran, where there are cgroups
  int64_t out_of_memory_kills = 0;  // processes that the kernel ended at the memory limit
  NetworkTraffic traffic = {};      // over the way out
  std::string network_error;        // why it had no way out to the end; empty: it had, or none was
                                    // wanted
  int64_t written_bytes = 0;        // what it was killed for: more than disk_bytes; 0: it was not
};

// What happens to one process meanwhile, on the launcher's thread. That the sandbox reached a limit
// is said on the stderr of its command.
struct SandboxEvents {
  std::function<void(int pid)> on_started = nullptr;  // the process id as the sandbox sees it
  std::function<void(OutputStream stream, absl::string_view bytes)> on_output = nullptr;
  // How a process beside the command ended, killed with the sandbox if not before. What it left in
  // the background may still write.
  std::function<void(const SandboxExit&)> on_exited = nullptr;
};

// Processes are known by numbers (spid): the command is kMainProcess. Thread-safe.
class RunningSandbox {
 public:
  virtual ~RunningSandbox() = default;

  // Starts a process beside the command. `spid` is one that was not used before. Where it cannot be
  // made, or the sandbox has ended meanwhile, on_exited says so soon. InvalidArgument: as
  // SandboxLauncher::Start.
  virtual absl::Status StartProcess(uint32_t spid, ProcessSpec spec, SandboxEvents events) = 0;

  // Writes to the stdin of a process, and closes it where `close`. NotFound: no such process.
  // FailedPrecondition: its stdin is closed, or it has ended. ResourceExhausted: it has not read
  // much of what was written before; nothing of `bytes` was taken.
  virtual absl::Status WriteStdin(uint32_t spid, std::string bytes, bool close) = 0;

  // To the process and all of its group. NotFound: no such process. FailedPrecondition: it has
  // ended.
  virtual absl::Status Signal(uint32_t spid, int signal) = 0;
};

// Thread-safe.
class SandboxLauncher {
 public:
  struct Options {
    std::string bubblewrap = "bwrap";  // a path, or a name on the PATH
    std::string
        mount_point;  // an empty directory; sandboxes attach their root there, each for itself
    RunLimits limits = {};
    // Holds runs to the limits; outlives the launcher. Null: rlimits do, as far as they can: memory
    // is bounded for each process, and processes for all runs together.
    CgroupTree* cgroups = nullptr;
    // The program runsc, a path or a name on the PATH: commands run on gVisor's kernel, which needs
    // cgroups and takes no network_stack. Empty: on this machine's, behind a filter.
    std::string runsc = "";
    // With runsc: a directory for MakeGvisorSkeleton, on the file system of the layers.
    std::string skeleton = "";
    // Commands run in virtual machines, which bound memory and processes themselves, and take no
    // network_stack. Not with runsc.
    std::optional<MicrovmOptions> microvm = std::nullopt;
    // The way out of sandboxes; outlives the launcher. Null: they have loopback only.
    const NetworkStackProgram* network_stack = nullptr;
  };

  // FailedPrecondition: something that isolation needs is missing; the message says what.
  static absl::StatusOr<std::unique_ptr<SandboxLauncher>> Create(const Options& options);

  ~SandboxLauncher();  // kills what still runs, without a word to it

  // Starts a sandbox with its command. `cancel` is looked at until the end is told. Cancelled,
  // FailedPrecondition: it cannot be made. ResourceExhausted: the image has too many layers, or the
  // system is out of descriptors. InvalidArgument: a NUL in the command, or too long a one.
  //
  // on_end is called once, last: with how the command ended, or with Cancelled: cancel was asked
  // for, and everything was killed. FailedPrecondition: the sandbox cannot be made. Internal: it
  // died without a report.
  using OnEnd = std::function<void(absl::StatusOr<SandboxExit>)>;
  absl::StatusOr<std::shared_ptr<RunningSandbox>> Start(const SandboxSpec& spec,
                                                        const CancelEvent& cancel,
                                                        SandboxEvents events, OnEnd on_end);

  // Start, and waits for the end.
  absl::StatusOr<SandboxExit> Run(const SandboxSpec& spec, const CancelEvent& cancel,
                                  const SandboxEvents& events);

 private:
  SandboxLauncher(const Options& options, std::unique_ptr<IsolationTier> tier,
                  std::unique_ptr<EventLoop> loop, std::unique_ptr<EventLoop> disposal,
                  std::unique_ptr<Zygote> zygote);

  const Options options_;
  const std::unique_ptr<IsolationTier> tier_;
  DiskWatch disk_watch_;
  // Where what takes a while is started and closed.
  const std::unique_ptr<EventLoop> disposal_;
  NetworkNamespaces networks_;
  const std::unique_ptr<Zygote> zygote_;
  const std::unique_ptr<EventLoop> loop_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_SANDBOX_H_
