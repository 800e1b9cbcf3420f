#ifndef LOCAL_BACKEND_SANDBOX_ZYGOTE_H_
#define LOCAL_BACKEND_SANDBOX_ZYGOTE_H_

// The process that makes the first processes of sandboxes (zygote_program.cc), which are this
// process's children all the same. Thread-safe.

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/event_loop.h"
#include "local-backend/sandbox/run_cgroups.h"

namespace contree {

class Zygote {
 public:
  // `parent` outlives it: its thread is the parent of all that is made, and all that asked for it
  // (bubblewrap's --die-with-parent) dies with that. `mount_point` is an empty directory,
  // `programs` are the absolute paths of what is executed, bubblewrap first, `filter` and `init`
  // are what kZygoteFilter and kZygoteInit say. FailedPrecondition: it does not start.
  static absl::StatusOr<std::unique_ptr<Zygote>> Start(EventLoop& parent,
                                                       const std::string& mount_point,
                                                       const std::vector<std::string>& programs,
                                                       UniqueFd filter, UniqueFd init);
  ~Zygote();  // what it made lives on
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  // Where a new process finds its root file system.
  const std::string& mount_point() const { return mount_point_; }
  // Whether bubblewrap sees no more of this machine's files than it needs.
  bool has_own_root() const { return has_own_root_; }

  struct Order {
    std::vector<std::string> command;   // of bubblewrap, by an absolute path
    int root = -1;                      // a detached mount
    int network = -1;                   // a network namespace
    int control = -1;                   // becomes kSandboxControl
    int diagnostics = -1;               // becomes stderr
    const RunCgroup* cgroup = nullptr;  // to start in; null: in this process's
    bool control_is_stdin = false;      // and no kSandboxControl; nor filter nor init
    std::vector<int> data = {};         // become kSandboxData and what follows
  };
  // A new child, to be waited for. ResourceExhausted and others: what the system said. One that
  // cannot execute the command complains on its stderr and ends.
  absl::StatusOr<pid_t> Fork(const Order& order);

 private:
  Zygote(EventLoop& parent, UniqueFd program, UniqueFd filter, UniqueFd init,
         std::vector<std::string> programs, std::string outside_mount_point);

  absl::Status StartProcess(bool own_root) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<pid_t> Ask(const std::string& message, const std::vector<int>& descriptors)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndProcess() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  EventLoop& parent_;
  const UniqueFd program_;
  const UniqueFd filter_;
  const UniqueFd init_;
  const std::vector<std::string> programs_;
  const std::string outside_mount_point_;
  // Set by Start.
  std::string mount_point_;
  bool has_own_root_ = false;

  absl::Mutex mutex_;
  pid_t pid_ ABSL_GUARDED_BY(mutex_) = -1;
  UniqueFd socket_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_ZYGOTE_H_
