#ifndef LOCAL_BACKEND_OPERATIONS_OPERATIONS_H_
#define LOCAL_BACKEND_OPERATIONS_OPERATIONS_H_

// Instances, and other work, from their request to their end. A bounded number runs at once, the
// others wait their turn, which is fair between projects; beyond a bound no more are taken. What
// runs needs no thread of its own: sandboxes are followed by the launcher's thread, and a few
// workers do what blocks, before and after. Thread-safe.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "local-backend/files/attached_files.h"
#include "local-backend/images/image_store.h"
#include "local-backend/operations/event_log.h"
#include "local-backend/operations/fair_queue.h"
#include "local-backend/operations/operation_store.h"
#include "local-backend/operations/process_report.h"
#include "local-backend/operations/run_layers.h"
#include "local-backend/operations/worker_pool.h"
#include "local-backend/sandbox/sandbox.h"
#include "local-backend/upkeep/disk_budget.h"

namespace contree {

class InstanceReport;

struct InstanceRequest : ProcessRequest {
  std::string project;
  Image image;
  bool preserve_environment = false;
  std::string hostname = "linuxkit";
  std::vector<AttachedFile> files;
  absl::Duration timeout = absl::Seconds(60);
  bool disposable = false;
  bool networking = true;
  int64_t max_layer_bytes = 0;
  std::string json;  // as the API shows it again
};

// Work other than an instance that is an operation all the same: queued, followed, cancelled.
struct JobRequest {
  std::string project = "";
  std::string kind;  // "image_import"
  std::string json;  // as the API shows it again
  // Writes events and fills in what it made. Called once, or never where it is cancelled before.
  // Cancelled: `cancel` ended it.
  std::function<absl::Status(EventLog& log, const CancelEvent& cancel, Operation& ended)> run;
};

// What waits at most: more is refused.
struct QueueBounds {
  int operations = 1000;                 // of each project, and of each kind
  int64_t bytes = 256 * 1024 * 1024;     // that their requests hold in memory, of all projects
  int processes_of_an_instance = 4'096;  // beside its command, until its end
};

class Operations {
 public:
  struct Options {
    int max_concurrent = 8;       // instances that run at once
    int max_concurrent_jobs = 8;  // the same of all else
    QueueBounds bounds = {};
    // Stops runs when the disk runs full; outlives this. Null: nobody does.
    DiskBudget* budget = nullptr;
    // Why instances have no network but loopback; empty: the launcher gives them a way out.
    std::string no_network = "this backend gives sandboxes no network but loopback";
    // A file, as AttachFiles wants it, that those with a way out see as /etc/resolv.conf; empty:
    // none.
    std::string resolv_conf = {};
    // Called when the last operation has ended, on the thread that ended it.
    std::function<void()> on_idle = nullptr;
  };

  // All of these outlive it.
  Operations(const Options& options, ImageStore& images, SandboxLauncher& launcher,
             OperationStore& store);
  ~Operations();  // as Stop(ZeroDuration)

  // Stores it and queues it. Unavailable: this is stopping. ResourceExhausted: too much waits
  // already; nothing was done, so it may be asked for again soon.
  absl::StatusOr<Operation> Submit(InstanceRequest request);
  absl::StatusOr<Operation> Submit(JobRequest request);

  // Of a project's own. NotFound: it has no such operation.
  absl::StatusOr<Operation> Get(const std::string& project, const std::string& uuid);
  absl::StatusOr<std::vector<Operation>> List(const OperationFilter& filter) {
    return store_.List(filter);
  }
  absl::StatusOr<std::shared_ptr<const EventLog>> Events(const std::string& project,
                                                         const std::string& uuid);

  // Asks it to end; it will be CANCELLED. NotFound: no such operation. FailedPrecondition: it has
  // ended.
  absl::Status Cancel(const std::string& project, const std::string& uuid);

  // Processes of a running instance, by number (spid): the command is kMainProcess. All of these:
  // NotFound: no such operation, or no such process in it. Unavailable: its sandbox is not up yet;
  // nothing was done. FailedPrecondition: it has ended, or never has processes.
  //
  // Starts one beside the command: in the same file system, with the image's and the instance's
  // environment, until the command ends. InvalidArgument: a NUL in the command, or too long a one.
  // ResourceExhausted: the instance had too many already.
  absl::StatusOr<int> StartProcess(const std::string& project, const std::string& uuid,
                                   const ProcessRequest& request);
  // FailedPrecondition also: its stdin is closed. ResourceExhausted: it has much to read yet;
  // nothing was written.
  absl::Status WriteStdin(const std::string& project, const std::string& uuid, int spid,
                          const std::string& bytes, bool close);
  absl::Status Signal(const std::string& project, const std::string& uuid, int spid, int signal);
  // Whether the number was given to a process, of which the events may say nothing yet.
  bool HasProcess(const std::string& project, const std::string& uuid, int spid);

  int active() const;  // waiting or running
  int running(const std::string& project, const std::string& kind) const;

  // Takes no more; those that wait fail; those that run get `grace` to end, then fail too.
  // Idempotent.
  void Stop(absl::Duration grace);

 private:
  struct Live;
  using LiveRef = std::shared_ptr<Live>;

  // Work of one sort: what waits, and what runs.
  struct Lane {
    Lane(int its_limit, int threads) : limit(its_limit), workers(threads) {}

    const int limit;
    FairQueue<LiveRef> queue;  // guarded by mutex_
    int running = 0;           // guarded by mutex_
    WorkerPool workers;
  };

  absl::StatusOr<Operation> Queue(LiveRef live);
  absl::Status CheckBounds(const Live& live) const;  // mutex_ is held
  void Dispatch(Lane& lane);                         // mutex_ is held
  // mutex_ is held. nullptr: the project has none that is live.
  LiveRef FindLive(const std::string& project, const std::string& uuid) const;
  absl::StatusOr<LiveRef> FindRunning(const std::string& project, const std::string& uuid);
  void SetStatus(Live& live, const char* status);
  void RunJob(const LiveRef& live);
  void Launch(const LiveRef& live);
  absl::Status Prepare(Live& live, SandboxSpec& spec);
  void Complete(const LiveRef& live, absl::StatusOr<SandboxExit> exit);
  absl::Status Keep(Live& live, const SandboxExit& exit, Operation& ended);
  void End(Live& live, Operation ended, const absl::Status& status);
  void Finish(Live& live, Operation ended);

  const Options options_;
  ImageStore& images_;
  SandboxLauncher& launcher_;
  OperationStore& store_;
  RunLayers run_layers_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, LiveRef> live_;  // guarded by mutex_, as all below
  int64_t queued_bytes_ = 0;
  bool stopping_ = false;
  // Last: their workers use all of the above.
  Lane instances_;
  Lane jobs_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_OPERATIONS_H_
