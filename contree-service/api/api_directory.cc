#include "contree-service/api/api_directory.h"

#include <algorithm>
#include <utility>

#include "common/http/httplib_http_client.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {
// More base URLs than any installation has at once; an embedded backend gets a new one with every
// start.
constexpr size_t kMaxPools = 64;
}  // namespace

absl::StatusOr<std::shared_ptr<HttpClient>> ApiDirectory::ClientFor(const std::string& base_url) {
  std::shared_ptr<HttpClient> dropped;  // closes its connections after the lock is gone
  absl::MutexLock lock(&mutex_);
  ++uses_;
  if (const auto found = pools_.find(base_url); found != pools_.end()) {
    found->second.last_use = uses_;
    return found->second.client;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<HttpClient> client,
                   HttplibHttpClient::Create({.base_url = base_url}));
  if (pools_.size() >= kMaxPools) {
    const auto oldest = std::min_element(
        pools_.begin(), pools_.end(),
        [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; });
    dropped = std::move(oldest->second.client);
    pools_.erase(oldest);
  }
  pools_[base_url] = {.client = client, .last_use = uses_};
  return client;
}

absl::StatusOr<ContreeApi> ApiDirectory::ApiFor(const CallContext& context,
                                                const RetryPolicy& retry) {
  ASSIGN_OR_RETURN(ApiEndpoint endpoint, endpoints_->EndpointFor(context));
  ASSIGN_OR_RETURN(std::shared_ptr<HttpClient> client, ClientFor(endpoint.base_url));
  return ContreeApi(std::move(client), std::move(endpoint), clock_, retry);
}

}  // namespace contree
