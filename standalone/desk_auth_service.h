#ifndef STANDALONE_DESK_AUTH_SERVICE_H_
#define STANDALONE_DESK_AUTH_SERVICE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "auth-service/auth_service.h"
#include "standalone/options.h"

namespace contree::standalone {

// auth-service as contree-mcp has it: its store below the state directory, the user's own Docker
// configuration beside it. Also keeps this process's memory out of core dumps. Errors as
// AuthService::Create.
absl::StatusOr<std::unique_ptr<AuthService>> OpenDeskAuthService(const Options& options);

}  // namespace contree::standalone

#endif  // STANDALONE_DESK_AUTH_SERVICE_H_
