// contree-service: the ConTree API client as a gRPC server.

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/server/server_program.h"
#include "common/status/status_macros.h"
#include "contree-service/configured_endpoint.h"
#include "contree-service/contree_service.h"
#include "contree-service/credentials_directory.h"

namespace contree {
namespace {

class ContreeParts final : public ServedParts {
 public:
  static absl::StatusOr<std::unique_ptr<ServedParts>> Open(
      const ContreeServiceOptions& options, std::unique_ptr<ApiEndpointSource> endpoints) {
    auto parts = std::make_unique<ContreeParts>(std::move(endpoints));
    ASSIGN_OR_RETURN(parts->service_, ContreeService::Create(options, parts->endpoints_.get()));
    return parts;
  }

  explicit ContreeParts(std::unique_ptr<ApiEndpointSource> endpoints)
      : endpoints_(std::move(endpoints)) {}
  std::vector<grpc::Service*> services() override { return {service_->grpc_service()}; }
  void Stop() override { service_->Stop(); }

 private:
  const std::unique_ptr<ApiEndpointSource> endpoints_;
  std::unique_ptr<ContreeService> service_;
};

int Main(int argc, char** argv) {
  std::string url = "https://contree.dev";
  std::string project;
  std::string token_file;
  std::string credentials_dir;
  std::string audit_log;
  std::shared_ptr<TenantLimits> limits;
  return RunServerProgram(
      argc, argv,
      {.name = "contree-service",
       .description = "The ConTree API client of contree-mcp. The token is taken from "
                      "CONTREE_MCP_TOKEN or a file, never "
                      "from a flag.",
       .service_names = {"contree.v1.ContreeService"},
       .add_flags =
           [&](CLI::App& app) {
             app.add_option("--url", url, "base URL of the ConTree API")
                 ->envname("CONTREE_MCP_URL")
                 ->capture_default_str();
             app.add_option("--project", project, "project id, for tokens that need one")
                 ->envname("CONTREE_MCP_PROJECT");
             app.add_option("--token-file", token_file, "a file that holds the token");
             app.add_option("--credentials-dir", credentials_dir,
                            "a directory of TENANT.json files, each {\"url\", \"token\", "
                            "\"project\"}: which API each tenant uses, instead of --url, "
                            "--project and --token-file; read again when they change")
                 ->envname("CONTREE_MCP_CREDENTIALS_DIR")
                 ->excludes("--token-file");
             app.add_option("--audit-log", audit_log,
                            "file to which each run, import, upload, tag and cancellation adds a "
                            "line of JSON: who, what, with what outcome; - is stderr")
                 ->envname("CONTREE_MCP_AUDIT_LOG");
           },
       .limits = &limits,
       .open = [&](const std::string& state_dir) -> absl::StatusOr<std::unique_ptr<ServedParts>> {
         const ContreeServiceOptions options = {
             .state_dir = state_dir, .audit_log = audit_log, .limits = limits.get()};
         if (!credentials_dir.empty()) {
           ASSIGN_OR_RETURN(std::unique_ptr<CredentialsDirectory> directory,
                            CredentialsDirectory::Open(credentials_dir));
           return ContreeParts::Open(options, std::move(directory));
         }
         const char* token = std::getenv("CONTREE_MCP_TOKEN");
         ASSIGN_OR_RETURN(
             ConfiguredEndpoint endpoint,
             ConfiguredEndpoint::Create(url, project, token_file, token == nullptr ? "" : token));
         return ContreeParts::Open(options,
                                   std::make_unique<ConfiguredEndpoint>(std::move(endpoint)));
       }});
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) { return contree::Main(argc, argv); }
