#ifndef CONTREE_SERVICE_STORE_STORE_RETENTION_H_
#define CONTREE_SERVICE_STORE_STORE_RETENTION_H_

// Drops what is older than its retention from a store, once a day. (Opening the store does so too.)

#include <thread>

#include "common/time/clock.h"
#include "contree-service/store/contree_store.h"

namespace contree {

class StoreRetention {
 public:
  // Both must outlive it.
  StoreRetention(ContreeStore* store, Clock* clock);
  StoreRetention(const StoreRetention&) = delete;
  StoreRetention& operator=(const StoreRetention&) = delete;

 private:
  std::jthread thread_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_STORE_STORE_RETENTION_H_
