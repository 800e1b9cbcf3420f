#ifndef LOCAL_BACKEND_OPERATIONS_LIVE_OPERATION_H_
#define LOCAL_BACKEND_OPERATIONS_LIVE_OPERATION_H_

// A part of Operations, for its .cc files only.

#include <map>
#include <memory>

#include "local-backend/operations/instance_report.h"
#include "local-backend/operations/operations.h"

namespace contree {

// One that has not ended.
struct Operations::Live {
  Lane* lane = nullptr;
  InstanceRequest request;  // of an instance
  JobRequest job;           // of all else: then it has a `run`
  Operation operation;      // guarded by mutex_
  std::shared_ptr<EventLog> log = std::make_shared<EventLog>();
  CancelEvent cancel;
  bool stopped_with_backend = false;  // guarded by mutex_
  absl::Time began;                   // its turn came; guarded by mutex_
  int64_t queued_bytes = 0;

  // Of an instance.
  RunDirectory directory;
  std::shared_ptr<const void> layers_lease;
  std::unique_ptr<DiskBudget::Watch> watch;
  std::unique_ptr<InstanceReport> report;
  bool sandbox_has_ended = false;                         // guarded by mutex_
  std::shared_ptr<RunningSandbox> sandbox;                // while it runs; guarded by mutex_
  std::map<int, std::shared_ptr<ProcessReport>> reports;  // guarded by mutex_
};

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_LIVE_OPERATION_H_
