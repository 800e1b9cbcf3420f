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

namespace contree {
namespace {

class ContreeParts final : public ServedParts {
 public:
  static absl::StatusOr<std::unique_ptr<ServedParts>> Open(const std::string& state_dir,
                                                           ConfiguredEndpoint endpoint) {
    auto parts = std::make_unique<ContreeParts>(std::move(endpoint));
    ASSIGN_OR_RETURN(parts->service_,
                     ContreeService::Create({.state_dir = state_dir}, &parts->endpoint_));
    return parts;
  }

  explicit ContreeParts(ConfiguredEndpoint endpoint) : endpoint_(std::move(endpoint)) {}
  std::vector<grpc::Service*> services() override { return {service_->grpc_service()}; }
  void Stop() override { service_->Stop(); }

 private:
  ConfiguredEndpoint endpoint_;
  std::unique_ptr<ContreeService> service_;
};

int Main(int argc, char** argv) {
  std::string url = "https://contree.dev";
  std::string project;
  std::string token_file;
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
           },
       .open = [&](const std::string& state_dir) -> absl::StatusOr<std::unique_ptr<ServedParts>> {
         const char* token = std::getenv("CONTREE_MCP_TOKEN");
         ASSIGN_OR_RETURN(
             ConfiguredEndpoint endpoint,
             ConfiguredEndpoint::Create(url, project, token_file, token == nullptr ? "" : token));
         return ContreeParts::Open(state_dir, std::move(endpoint));
       }});
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) { return contree::Main(argc, argv); }
