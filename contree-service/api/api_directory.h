#ifndef CONTREE_SERVICE_API_API_DIRECTORY_H_
#define CONTREE_SERVICE_API_API_DIRECTORY_H_

// The API of whoever calls: asks the ApiEndpointSource where it is and keeps one connection pool
// per base URL.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/http/http_client.h"
#include "common/retry/retry_loop.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/api_endpoint.h"

namespace contree {

// Thread-safe.
class ApiDirectory {
 public:
  // Both must outlive it.
  ApiDirectory(ApiEndpointSource* endpoints, Clock* clock) : endpoints_(endpoints), clock_(clock) {}

  // The API of context.tenant, which tries again as `retry` says. May wait until context.deadline.
  // InvalidArgument: the base URL is none. Otherwise what the ApiEndpointSource says.
  absl::StatusOr<ContreeApi> ApiFor(const CallContext& context, const RetryPolicy& retry = {});

 private:
  struct Pool {
    std::shared_ptr<HttpClient> client;
    uint64_t last_use = 0;
  };

  absl::StatusOr<std::shared_ptr<HttpClient>> ClientFor(const std::string& base_url);

  ApiEndpointSource* const endpoints_;
  Clock* const clock_;
  absl::Mutex mutex_;
  uint64_t uses_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, Pool> pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // CONTREE_SERVICE_API_API_DIRECTORY_H_
