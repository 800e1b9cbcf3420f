#ifndef LOCAL_BACKEND_SANDBOX_SANDBOX_KEEPER_H_
#define LOCAL_BACKEND_SANDBOX_SANDBOX_KEEPER_H_

// Follows one sandbox from its start to its end: feeds and reads its processes, speaks with its
// init, keeps its time, and finds out how it ended. A part of the sandbox library.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/disk_usage.h"
#include "local-backend/sandbox/event_loop.h"
#include "local-backend/sandbox/init_channel.h"
#include "local-backend/sandbox/isolation_tier.h"
#include "local-backend/sandbox/network_namespace.h"
#include "local-backend/sandbox/network_uplink.h"
#include "local-backend/sandbox/run_cgroups.h"
#include "local-backend/sandbox/sandbox.h"
#include "local-backend/sandbox/sandbox_process.h"
#include "local-backend/sandbox/stdin_feed.h"

namespace contree {

// The three pipes of a process: what is given to it, and our ends.
struct ProcessPipes {
  UniqueFd in_read, out_write, err_write;
  UniqueFd in, out, err;
};
absl::StatusOr<ProcessPipes> MakeProcessPipes();

// What a sandbox has beside its processes, given back at its end.
struct SandboxResources {
  RunLimits limits;
  std::unique_ptr<RunCgroup> cgroup = nullptr;      // null: rlimits hold it
  std::unique_ptr<NetworkUplink> uplink = nullptr;  // null: loopback only
  NetworkNamespace network = {};                    // its tap is the uplink's
};

// Kept alive by what the loop watches for it, until the end.
class SandboxKeeper final : public RunningSandbox,
                            public std::enable_shared_from_this<SandboxKeeper> {
 public:
  // The command was sent to the init already; `pipes` are its, `cancel` outlives the end, `rlimits`
  // are those of every process. What takes long to close is closed on the thread of `disposal`, and
  // the network goes back to `networks`.
  SandboxKeeper(EventLoop& loop, EventLoop& disposal, NetworkNamespaces& networks,
                DiskWatch& disk_watch, SandboxProcess process, ProcessPipes pipes,
                SandboxResources resources, const TierTraits& traits, const SandboxSpec& spec,
                const RunRlimits& rlimits, const CancelEvent& cancel, SandboxEvents events,
                SandboxLauncher::OnEnd on_end);
  ~SandboxKeeper() override;  // nothing of the sandbox is alive afterwards

  // Once, from any thread.
  void Begin();

  absl::Status StartProcess(uint32_t spid, ProcessSpec spec, SandboxEvents events) override;
  absl::Status WriteStdin(uint32_t spid, std::string bytes, bool close) override;
  absl::Status Signal(uint32_t spid, int signal) override;

 private:
  // A descriptor of ours that the loop watches.
  struct Channel {
    UniqueFd fd;
    std::optional<EventLoop::WatchId> watch;
  };

  struct Process {
    Process(std::string stdin_bytes, bool stdin_stays_open)
        : feed(std::move(stdin_bytes), stdin_stays_open) {}

    uint32_t spid = kMainProcess;
    StdinFeed feed;
    SandboxEvents events;
    Channel in, out, err;
    ProcessPipes pipes;   // of one that the init was not told of yet
    std::string request;  // and what to tell it
    absl::Time began;
    bool started = false;
    SandboxExit exit;
    // Guarded by the keeper's mutex_.
    bool ended = false;
  };
  using ProcessRef = std::shared_ptr<Process>;

  ProcessRef Find(uint32_t spid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // All below: on the loop's thread.
  void OnBegin();
  void Watch(Channel& channel, uint32_t events, void (SandboxKeeper::*callback)());
  void WatchProcess(Channel& channel, uint32_t events, const ProcessRef& process,
                    void (SandboxKeeper::*callback)(const ProcessRef&));
  void Close(Channel& channel);
  void Launch(const ProcessRef& process);
  void SendToInit(FrameType type, absl::string_view payload, std::vector<UniqueFd> descriptors);
  void OnReply(FrameType type, absl::string_view payload);
  void OnStarted(const StartedReply& reply);
  void OnExited(const ExitedReply& reply);
  void OnDiagnostics();
  void OnDeath();
  void OnCancel();
  void OnTime();
  void OnTap();
  void OnTooMuchWritten(int64_t bytes);
  void SayWhichLimitsWereReached();
  void OnStdout(const ProcessRef& process);
  void OnStderr(const ProcessRef& process);
  bool Forward(const ProcessRef& process, Channel& channel, OutputStream stream);
  void FeedStdin(const ProcessRef& process);
  void CloseStdin(const ProcessRef& process);
  void EndProcess(const ProcessRef& process);
  void KillEverything();
  void SetTimer(absl::Time time);
  void GiveNetworkBack();
  void EndIfOver();
  absl::StatusOr<SandboxExit> Outcome();

  EventLoop& loop_;
  EventLoop& disposal_;
  NetworkNamespaces& networks_;
  DiskWatch& disk_watch_;
  SandboxResources resources_;
  const std::string upper_;
  const int64_t disk_bytes_;
  const RunRlimits rlimits_;
  const CancelEvent& cancel_;
  const absl::Duration timeout_;
  const absl::Duration start_limit_;
  const absl::Duration kill_grace_;
  SandboxLauncher::OnEnd on_end_;

  pid_t pid_;
  Channel pid_fd_;
  InitChannel init_;
  Channel diagnostics_;
  std::optional<EventLoop::WatchId> cancel_watch_;
  std::optional<EventLoop::WatchId> tap_watch_;
  std::optional<DiskWatch::Id> disk_watch_id_;
  std::optional<EventLoop::TimerId> timer_;
  std::string said_;  // by bubblewrap
  absl::Time began_;
  absl::Time exited_at_;
  const ProcessRef main_;
  bool exited_ = false;  // main_ has, by the init's report
  bool killing_ = false;
  bool timed_out_ = false;
  RunUsage usage_at_start_;
  LimitsReply limits_reached_ = {};  // as the tier tells; cgroups see what they see
  int64_t written_bytes_ = 0;        // once it was too much
  bool overdue_ = false;
  bool over_ = false;

  absl::Mutex mutex_;
  std::map<uint32_t, ProcessRef> processes_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_SANDBOX_KEEPER_H_
