#ifndef CONTREE_SERVICE_OPERATIONS_OPERATIONS_LIST_READER_H_
#define CONTREE_SERVICE_OPERATIONS_OPERATIONS_LIST_READER_H_

// Reads the platform's list of operations into the store, so that lineage knows images that were
// made elsewhere: what is new since the last time, then what is older, newest first, going on where
// it stopped.

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/store/contree_store.h"

namespace contree {

// Thread-safe: calls for one tenant and platform go one after the other.
class OperationsListReader {
 public:
  // Both must outlive it. `page_size` is the platform's largest, except in tests.
  OperationsListReader(ContreeStore* store, Clock* clock, int page_size = 1000)
      : store_(store), clock_(clock), page_size_(page_size) {}

  // Everything new; of what is older, no further page after `older_until`. An operation that is not
  // final yet is read again the next time. Errors: as ContreeApi::ListOperations and ContreeStore;
  // DeadlineExceeded, Cancelled also while another call reads.
  absl::Status Read(const ContreeApi& api, const CallContext& context, absl::Time older_until);

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, platform

  absl::Status AwaitTurn(const Key& key, const CallContext& context);
  absl::Status ReadNew(const ContreeApi& api, const StoreScope& scope, const CallContext& context);
  absl::Status ReadOlder(const ContreeApi& api, const StoreScope& scope, const CallContext& context,
                         absl::Time older_until);

  ContreeStore* const store_;
  Clock* const clock_;
  const int page_size_;
  absl::Mutex mutex_;
  absl::flat_hash_set<Key> reading_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // CONTREE_SERVICE_OPERATIONS_OPERATIONS_LIST_READER_H_
