#include "standalone/serve.h"

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/server/grpc_server.h"
#include "common/server/termination.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "contree-service/contree_service.h"
#include "gateway/gateway.h"
#include "gateway/workspace/workspace.h"
#include "standalone/backend_flags.h"
#include "standalone/desk_auth_service.h"
#include "standalone/desktop_browser.h"
#include "standalone/embedded_backend.h"
#include "standalone/remote_channel.h"
#include "sync-service/sync_service.h"

namespace contree::standalone {
namespace {

// How long running calls may take to end once we are asked to stop. Their operations go on whatever
// happens.
constexpr absl::Duration kDrainGrace = absl::Seconds(5);

class ConfiguredPlatform final : public ApiEndpointSource {
 public:
  explicit ConfiguredPlatform(const Options& options)
      : endpoint_{.base_url = options.url,
                  .token = options.token,
                  .project = options.project,
                  .platform = ""} {}
  absl::StatusOr<ApiEndpoint> EndpointFor(const CallContext& /*context*/) override {
    return endpoint_;
  }

 private:
  const ApiEndpoint endpoint_;
};

absl::Status ServeStdio(gateway::Gateway& gateway) {
  std::stop_source stop;
  std::thread signals([&stop] {
    WaitForTermination();
    stop.request_stop();
  });
  absl::Status status = gateway.RunStdio({}, stop.get_token());
  if (!stop.stop_requested()) RequestTermination();  // the input ended: let the waiting thread go
  signals.join();
  return status;
}

absl::Status ServeHttp(gateway::Gateway& gateway, const Options& options) {
  gateway::HttpOptions http;
  http.host = options.http_listen;
  http.port = options.http_port;
  ASSIGN_OR_RETURN(const auto endpoint, gateway.ServeHttp(http));
  LogInfo("contree-mcp serves", {{"mcp", endpoint->url()}});
  WaitForTermination();
  endpoint->Stop();
  return absl::OkStatus();
}

std::function<bool(const std::string&)> BrowserOf(const Options& options) {
  if (options.mode != "stdio") return nullptr;
  return OpenInDesktopBrowser;
}

// With the services of an installation elsewhere and the files of this machine.
absl::Status ServeRemote(const Options& options, gateway::Workspace workspace) {
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                   ConnectToRemote(RemoteOf(options)));
  ASSIGN_OR_RETURN(
      const auto gateway,
      gateway::Gateway::Create(
          {.contree_service = channel, .auth_service = channel, .sync_service = channel},
          std::move(workspace), BrowserOf(options), /*session_key_file=*/"", !options.no_watch));
  return options.mode == "stdio" ? ServeStdio(*gateway) : ServeHttp(*gateway, options);
}

}  // namespace

absl::Status Serve(const Options& options) {
  if (options.token_was_a_flag) {
    LogWarning(
        "--token can be seen by every user of this machine: use CONTREE_MCP_TOKEN or mcp.ini");
  }
  ASSIGN_OR_RETURN(const std::string state_dir, MakePrivateDirectory(options.state_dir));
  ASSIGN_OR_RETURN(gateway::Workspace workspace,
                   gateway::Workspace::Choose(options.mode == "stdio", options.workspace_roots));
  if (!options.remote.empty()) return ServeRemote(options, std::move(workspace));
  std::unique_ptr<ApiEndpointSource> platform;
  if (options.url.empty()) {
    platform = std::make_unique<EmbeddedBackend>(
        EmbeddedBackendOptions{.state_dir = state_dir,
                               .isolation = options.isolation,
                               .arguments = BackendFlags(options)});
  } else {
    platform = std::make_unique<ConfiguredPlatform>(options);
  }
  ASSIGN_OR_RETURN(const auto contree_service,
                   ContreeService::Create(
                       {.state_dir = absl::StrCat(state_dir, "/contree-service")}, platform.get()));
  ASSIGN_OR_RETURN(const auto auth_service, OpenDeskAuthService(options));
  ASSIGN_OR_RETURN(const auto sync_service,
                   SyncService::Create({.state_dir = absl::StrCat(state_dir, "/sync-service")}));
  ASSIGN_OR_RETURN(const auto server,
                   GrpcServer::Start({.listen = options.grpc_listen,
                                      .health_names = {"contree.v1.ContreeService",
                                                       "contree.auth.v1.RegistryAuthService",
                                                       "contree.sync.v1.SyncService"}},
                                     {contree_service->grpc_service(), auth_service->grpc_service(),
                                      sync_service->grpc_service()}));
  if (!server->address().empty()) {
    LogInfo("contree-mcp serves", {{"grpc", server->address()}});
  }
  const std::shared_ptr<grpc::Channel> channel = server->InProcessChannel();
  sync_service->ConnectTo(channel);
  ASSIGN_OR_RETURN(
      const auto gateway,
      gateway::Gateway::Create(
          {.contree_service = channel, .auth_service = channel, .sync_service = channel},
          std::move(workspace), BrowserOf(options), /*session_key_file=*/"", !options.no_watch));

  absl::Status status =
      options.mode == "stdio" ? ServeStdio(*gateway) : ServeHttp(*gateway, options);
  contree_service->Stop();
  server->Drain(kDrainGrace);
  return status;
}

}  // namespace contree::standalone
