#ifndef CONTREE_SERVICE_API_ENDPOINT_H_
#define CONTREE_SERVICE_API_ENDPOINT_H_

// Where a caller's ConTree API is and how to be let in.

#include <string>

#include "absl/status/statusor.h"
#include "common/rpc/call_context.h"

namespace contree {

// The platform of the backend that contree-mcp starts on this machine.
inline constexpr char kEmbeddedPlatform[] = "local";

struct ApiEndpoint {
  std::string base_url;  // "https://api.contree.dev" or with a path prefix; "/v1/..." is appended
  std::string token;     // sent as Bearer; empty: no Authorization header. Never logged
  std::string project;   // sent as the Project header; empty: none
  // What stored facts are keyed by, for a platform whose address changes from run to run (the
  // embedded backend on a free port). Empty: base_url.
  std::string platform;
};

class ApiEndpointSource {
 public:
  virtual ~ApiEndpointSource() = default;

  // The endpoint of context.tenant. Thread-safe; asked anew for every call, so it may change. May
  // wait until context.deadline or context.stop (a backend that is still starting), not longer.
  // Unauthenticated: no credentials for this tenant. Unavailable, DeadlineExceeded: the backend did
  // not come up.
  virtual absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext& context) = 0;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_API_ENDPOINT_H_
