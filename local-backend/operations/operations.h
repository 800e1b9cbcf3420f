#ifndef LOCAL_BACKEND_OPERATIONS_OPERATIONS_H_
#define LOCAL_BACKEND_OPERATIONS_OPERATIONS_H_

// Instances from their request to their end: a bounded number runs at once, the others wait their
// turn as PENDING, first come first served. Thread-safe.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "local-backend/files/attached_files.h"
#include "local-backend/images/image_store.h"
#include "local-backend/operations/event_log.h"
#include "local-backend/operations/operation_store.h"
#include "local-backend/sandbox/sandbox.h"

namespace contree {

struct InstanceRequest {
  Image image;
  std::string command;
  std::vector<std::string> arguments;
  bool shell = false;
  Environment environment;
  bool preserve_environment = false;
  std::string cwd;  // empty: /
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string hostname = "linuxkit";
  std::string stdin_bytes;
  std::vector<AttachedFile> files;
  absl::Duration timeout = absl::Seconds(60);
  int64_t truncate_output_at = 1 << 20;  // bytes of each stream
  bool disposable = false;
  bool networking = true;
  int64_t max_layer_bytes = 0;
  std::string json;  // as the API shows it again
};

// Work other than an instance that is an operation all the same: queued, followed, cancelled.
struct JobRequest {
  std::string kind;  // "image_import"
  std::string json;  // as the API shows it again
  // Writes events and fills in what it made. Called once, or never where it is cancelled before.
  // Cancelled: `cancel` ended it.
  std::function<absl::Status(EventLog& log, const CancelEvent& cancel, Operation& ended)> run;
};

class Operations {
 public:
  struct Options {
    int max_concurrent = 8;
    // Called when the last operation has ended, on the thread that ended it.
    std::function<void()> on_idle;
  };

  // All of these outlive it.
  Operations(const Options& options, ImageStore& images, SandboxLauncher& launcher,
             OperationStore& store);
  ~Operations();  // as Stop(ZeroDuration)

  // Stores it and queues it. Unavailable: this is stopping.
  absl::StatusOr<Operation> Submit(InstanceRequest request);
  absl::StatusOr<Operation> Submit(JobRequest request);

  // NotFound: no such operation.
  absl::StatusOr<Operation> Get(const std::string& uuid);
  absl::StatusOr<std::vector<Operation>> List(const OperationFilter& filter) {
    return store_.List(filter);
  }
  absl::StatusOr<std::shared_ptr<const EventLog>> Events(const std::string& uuid);

  // Asks it to end; it will be CANCELLED. NotFound: no such operation. FailedPrecondition: it has
  // ended.
  absl::Status Cancel(const std::string& uuid);

  int active() const;   // waiting or running
  int running() const;  // of every kind
  int running(const std::string& kind) const;

  // Takes no more; those that wait fail; those that run get `grace` to end, then fail too.
  // Idempotent.
  void Stop(absl::Duration grace);

 private:
  // One that has not ended.
  struct Live {
    InstanceRequest request;  // of an instance
    JobRequest job;           // of all else: then it has a `run`
    Operation operation;      // guarded by mutex_
    std::shared_ptr<EventLog> log = std::make_shared<EventLog>();
    CancelEvent cancel;
    bool stopped_with_backend = false;  // guarded by mutex_
  };

  absl::StatusOr<Operation> Queue(std::shared_ptr<Live> live);
  void Work();
  void Execute(Live& live);
  void Finish(Live& live, Operation ended);

  const Options options_;
  ImageStore& images_;
  SandboxLauncher& launcher_;
  OperationStore& store_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::shared_ptr<Live>> live_;  // guarded by mutex_, as all below
  std::deque<std::shared_ptr<Live>> queue_;
  std::vector<std::thread> threads_;
  int idle_threads_ = 0;
  int running_ = 0;
  bool stopping_ = false;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_OPERATIONS_H_
