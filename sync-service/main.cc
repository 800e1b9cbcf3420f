// sync-service: directory sync as a gRPC server.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/rpc/service_channel.h"
#include "common/server/security_flags.h"
#include "common/server/server_program.h"
#include "common/status/status_macros.h"
#include "sync-service/sync_service.h"

namespace contree {
namespace {

class SyncProgramParts final : public ServedParts {
 public:
  explicit SyncProgramParts(std::unique_ptr<SyncService> service) : service_(std::move(service)) {}
  std::vector<grpc::Service*> services() override { return {service_->grpc_service()}; }

 private:
  const std::unique_ptr<SyncService> service_;
};

int Main(int argc, char** argv) {
  std::string contree_service;
  TlsFiles services_tls;
  return RunServerProgram(
      argc, argv,
      {.name = "sync-service",
       .description = "Directory sync of contree-mcp",
       .service_names = {"contree.sync.v1.SyncService"},
       .add_flags =
           [&contree_service, &services_tls](CLI::App& app) {
             app.add_option("--contree-service", contree_service,
                            "HOST:PORT or unix:/path of contree-service")
                 ->envname("CONTREE_MCP_CONTREE_SERVICE")
                 ->required();
             AddServicesTlsFlags(services_tls, app);
           },
       .open = [&contree_service, &services_tls](
                   const std::string& state_dir) -> absl::StatusOr<std::unique_ptr<ServedParts>> {
         ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                          ChannelTo(contree_service, services_tls));
         ASSIGN_OR_RETURN(
             std::unique_ptr<SyncService> service,
             SyncService::Create({.state_dir = state_dir, .contree_service = std::move(channel)}));
         return std::make_unique<SyncProgramParts>(std::move(service));
       }});
}

}  // namespace
}  // namespace contree

int main(int argc, char** argv) { return contree::Main(argc, argv); }
