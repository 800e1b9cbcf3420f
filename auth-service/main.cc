// auth-service: OCI registry authentication as a gRPC server.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "auth-service/auth_service.h"
#include "common/server/server_program.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

class AuthParts final : public ServedParts {
 public:
  explicit AuthParts(std::unique_ptr<AuthService> service) : service_(std::move(service)) {}
  std::vector<grpc::Service*> services() override { return {service_->grpc_service()}; }

 private:
  const std::unique_ptr<AuthService> service_;
};

int Main(int argc, char** argv) {
  AuthServiceOptions options;
  return RunServerProgram(
      argc, argv,
      {.name = "auth-service",
       .description = "OCI registry authentication of contree-mcp",
       .service_names = {"contree.auth.v1.RegistryAuthService"},
       .add_flags =
           [&options](CLI::App& app) {
             app.add_option("--key-file", options.key_file,
                            "keys to seal credentials with, 32 bytes in base64 a line, the first "
                            "one seals (a mounted secret); default: made in the state directory");
             app.add_flag("--rotate-key", options.rotate_key,
                          "seal everything with a new key, in the state directory's key file");
             app.add_option("--docker-config", options.foreign.docker_config,
                            "a config.json of Docker to read credentials from as well");
             app.add_option("--pull-secrets", options.foreign.pull_secrets,
                            "file or directory of Kubernetes pull secrets (.dockerconfigjson) to "
                            "read as well; may be repeated");
             app.add_option("--insecure-registry", options.network.insecure_registries,
                            "HOST[:PORT] of a registry without TLS; may be repeated")
                 ->envname("CONTREE_MCP_INSECURE_REGISTRIES")
                 ->delimiter(',');
             app.add_option("--private-registry", options.network.private_registries,
                            "HOST[:PORT] of a registry on a private address; may be repeated")
                 ->envname("CONTREE_MCP_PRIVATE_REGISTRIES")
                 ->delimiter(',');
           },
       .open = [&options](
                   const std::string& state_dir) -> absl::StatusOr<std::unique_ptr<ServedParts>> {
         ProtectProcessMemory();
         options.state_dir = state_dir;
         ASSIGN_OR_RETURN(std::unique_ptr<AuthService> service, AuthService::Create(options));
         return std::make_unique<AuthParts>(std::move(service));
       }});
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) { return contree::Main(argc, argv); }
