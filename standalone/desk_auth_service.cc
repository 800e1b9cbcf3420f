#include "standalone/desk_auth_service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"

namespace contree::standalone {

absl::StatusOr<std::unique_ptr<AuthService>> OpenDeskAuthService(const Options& options) {
  ProtectProcessMemory();
  ASSIGN_OR_RETURN(const std::string state_dir, MakePrivateDirectory(options.state_dir));
  return AuthService::Create({.state_dir = absl::StrCat(state_dir, "/auth-service"),
                              .foreign = {.docker_config = ForeignSources::DefaultDockerConfig()},
                              .network = {.insecure_registries = options.insecure_registries,
                                          .private_registries = options.private_registries}});
}

}  // namespace contree::standalone
