#ifndef CONTREE_SERVICE_CONFIGURED_ENDPOINT_H_
#define CONTREE_SERVICE_CONFIGURED_ENDPOINT_H_

// The one endpoint that contree-service is started with, for the one tenant of a desk.

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "contree-service/api_endpoint.h"

namespace contree {

// InvalidArgument: there is no token for a platform that is not on this machine, or token or
// project are nothing that a header can carry. The message shows neither.
absl::Status CheckEndpoint(const ApiEndpoint& endpoint);

// Thread-safe.
class ConfiguredEndpoint final : public ApiEndpointSource {
 public:
  // Puts together what flags and environment say. `token` comes from the environment; the content
  // of token_file, without the white space around it, goes before it. InvalidArgument: no token for
  // a platform that is not on this machine, or a token that no header can carry. NotFound,
  // PermissionDenied: token_file cannot be read.
  static absl::StatusOr<ConfiguredEndpoint> Create(const std::string& url,
                                                   const std::string& project,
                                                   const std::string& token_file,
                                                   const std::string& token);

  // Unauthenticated: another tenant than kLocalTenant. One project for all would let each see what
  // the others have.
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext& context) override;

 private:
  explicit ConfiguredEndpoint(ApiEndpoint endpoint) : endpoint_(std::move(endpoint)) {}
  ApiEndpoint endpoint_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_CONFIGURED_ENDPOINT_H_
