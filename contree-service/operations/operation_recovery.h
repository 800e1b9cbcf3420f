#ifndef CONTREE_SERVICE_OPERATIONS_OPERATION_RECOVERY_H_
#define CONTREE_SERVICE_OPERATIONS_OPERATION_RECOVERY_H_

// After a restart: follows again what was started before and is not known to be final, on a thread
// of its own, as soon as each tenant's platform can be named. Operations of another platform than
// the tenant has now are left alone.

#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/time/clock.h"
#include "contree-service/api/api_directory.h"
#include "contree-service/operations/operation_tracker.h"
#include "contree-service/store/contree_store.h"

namespace contree {

// Thread-safe.
class OperationRecovery {
 public:
  // Begins. All must outlive it.
  OperationRecovery(ApiDirectory* apis, ContreeStore* store, OperationTracker* tracker,
                    Clock* clock);
  ~OperationRecovery() { Stop(); }
  OperationRecovery(const OperationRecovery&) = delete;
  OperationRecovery& operator=(const OperationRecovery&) = delete;

  // Ends it where it has not ended by itself. Idempotent.
  void Stop() { thread_.request_stop(); }

 private:
  void Run(const std::stop_token& stop);
  // Unavailable, DeadlineExceeded: the platform cannot be named yet. Others: not at all.
  absl::Status Recover(const std::string& tenant,
                       const std::vector<ContreeStore::Unfinished>& unfinished,
                       const std::stop_token& stop);

  ApiDirectory* const apis_;
  ContreeStore* const store_;
  OperationTracker* const tracker_;
  Clock* const clock_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace contree

#endif  // CONTREE_SERVICE_OPERATIONS_OPERATION_RECOVERY_H_
