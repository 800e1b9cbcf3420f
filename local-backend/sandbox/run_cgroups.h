#ifndef LOCAL_BACKEND_SANDBOX_RUN_CGROUPS_H_
#define LOCAL_BACKEND_SANDBOX_RUN_CGROUPS_H_

// The control groups that hold runs to their limits and count what they use: a directory
// contree/PID for each backend, below it one for each run. It is made while this process is still
// what its starter made it, and used from inside the user namespace of the sandboxes, whose root it
// is given to. Thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/files/unique_fd.h"
#include "local-backend/sandbox/user_namespace.h"

namespace contree {

// What one run may take; 0: no bound.
struct RunLimits {
  int64_t memory_bytes = 0;
  int64_t processes = 0;  // and threads
  double cpus = 0;
};

struct RunUsage {
  absl::Duration user_cpu;
  absl::Duration system_cpu;
  int64_t out_of_memory_kills = 0;  // processes that the kernel ended at the memory limit
  int64_t refused_processes = 0;    // how often a fork was refused at the process limit
};

// The group of one run. Its destructor removes it: what was in it must have ended.
class RunCgroup {
 public:
  ~RunCgroup();
  RunCgroup(const RunCgroup&) = delete;
  RunCgroup& operator=(const RunCgroup&) = delete;

  // How a child gets in. Version 2: for CLONE_INTO_CGROUP; -1: version 1.
  int clone_fd() const { return clone_fd_.get(); }
  // Version 1: the files that the child, while it has one thread, writes "0" to.
  const std::vector<std::string>& task_files() const { return task_files_; }

  // So far.
  RunUsage Usage() const;

 private:
  friend class CgroupTree;
  RunCgroup() = default;

  std::vector<std::string> directories_;
  // Where the files of a controller are; empty: it is not there.
  std::string memory_;
  std::string pids_;
  std::string cpu_;
  bool unified_ = false;
  UniqueFd clone_fd_;
  std::vector<std::string> task_files_;
};

class CgroupTree {
 public:
  // Finds a place for it, removes what backends that have died left there, and bounds all runs
  // together by `all_runs`. `owner` is the root of the namespaces to come. With version 2 this
  // process moves into a group in there. FailedPrecondition: there is no such place; the message
  // says why.
  static absl::StatusOr<std::unique_ptr<CgroupTree>> Create(const NamespaceRoot& owner,
                                                            const RunLimits& all_runs,
                                                            bool limit_cpus);
  ~CgroupTree();  // removes it, as far as it is allowed to

  int version() const { return unified_ ? 2 : 1; }

  // FailedPrecondition: a limit cannot be set; Internal and others: what the system said.
  absl::StatusOr<std::unique_ptr<RunCgroup>> NewRun(const RunLimits& limits);

 private:
  CgroupTree() = default;

  absl::Status MakeUnified(const std::string& base, const NamespaceRoot& owner,
                           const RunLimits& all_runs, bool limit_cpus);
  absl::Status MakeVersion1(const std::vector<struct CgroupHierarchy>& hierarchies,
                            const NamespaceRoot& owner, const RunLimits& all_runs, bool limit_cpus);

  struct Place {
    std::string controller;  // of version 1
    std::string directory;   // that runs' groups are made in
  };
  bool unified_ = false;
  std::vector<Place> places_;
};

// What Create decides by, apart for tests.

// A mounted hierarchy, and where this process is in it.
struct CgroupHierarchy {
  bool unified = false;                  // version 2
  std::vector<std::string> controllers;  // of version 1
  std::string mount_point;
  std::string own;  // this process's directory, at or below mount_point
};

// From the texts of /proc/self/mountinfo and /proc/self/cgroup.
std::vector<CgroupHierarchy> ParseCgroupHierarchies(absl::string_view mountinfo,
                                                    absl::string_view self_cgroup);

}  // namespace contree

#endif  // LOCAL_BACKEND_SANDBOX_RUN_CGROUPS_H_
