// contree-gateway: MCP over stdio or Streamable HTTP, in front of services elsewhere.

#include <CLI/CLI.hpp>
#include <atomic>
#include <iostream>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/auth/auth_options.h"
#include "common/http/base_url.h"
#include "common/http/tls_server.h"
#include "common/limits/tenant_limits.h"
#include "common/rpc/service_channel.h"
#include "common/server/admin_server.h"
#include "common/server/grpc_server.h"
#include "common/server/health_check.h"
#include "common/server/listen_address.h"
#include "common/server/security_flags.h"
#include "common/server/termination.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/time/clock.h"
#include "gateway/gateway.h"
#include "gateway/workspace/workspace.h"

namespace contree::gateway {
namespace {

constexpr absl::Duration kDrainGrace = absl::Seconds(5);
// How long calls over HTTP may go on before the waiting ones are told to stop waiting.
constexpr absl::Duration kHttpGrace = absl::Seconds(10);

struct Flags {
  std::string mode = "http";
  std::string http_listen = "127.0.0.1";
  int http_port = 9452;
  TlsServerFiles http_tls;
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> workspace_roots;
  std::string contree_service;
  std::string auth_service;
  std::string sync_service;
  bool no_watch = false;
  std::string grpc_listen = "127.0.0.1:0";
  std::string state_dir;
  std::string session_key_file;
  std::string log_level = "info";
  SecurityFlags security;
  TlsFiles services_tls;
  std::string public_url;
  std::string limits_file;
  std::string admin_listen;
};

void Declare(Flags& flags, CLI::App& app) {
  app.add_option("--mode", flags.mode, "How clients connect")
      ->check(CLI::IsMember({"stdio", "http"}))
      ->envname("CONTREE_MCP_MODE")
      ->capture_default_str();
  app.add_option("--http-listen", flags.http_listen,
                 "Address to listen on; beyond loopback it takes --auth=keys or --auth=jwt")
      ->envname("CONTREE_MCP_HTTP_LISTEN")
      ->capture_default_str();
  app.add_option("--http-port", flags.http_port, "Port to listen on; 0: a free one")
      ->check(CLI::Range(0, 65535))
      ->envname("CONTREE_MCP_HTTP_PORT")
      ->capture_default_str();
  app.add_option("--http-tls-cert", flags.http_tls.certificate,
                 "Certificate chain (PEM) to serve MCP and the pages by https; read again when it "
                 "changes. Not needed where something in front ends TLS")
      ->envname("CONTREE_MCP_HTTP_TLS_CERT");
  app.add_option("--http-tls-key", flags.http_tls.key, "Private key (PEM) of --http-tls-cert")
      ->envname("CONTREE_MCP_HTTP_TLS_KEY");
  app.add_option("--http-tls-client-ca", flags.http_tls.client_authority,
                 "Authority (PEM) that clients' certificates must come from (mTLS), besides what "
                 "--auth asks for")
      ->envname("CONTREE_MCP_HTTP_TLS_CLIENT_CA");
  app.add_option("--allowed-host", flags.allowed_hosts,
                 "Name besides localhost that the headers Host and Origin may have");
  app.add_option("--workspace-root", flags.workspace_roots,
                 "Directory whose files tools may read and write over HTTP; several with a colon "
                 "between or the flag repeated; none by default")
      ->envname("CONTREE_MCP_WORKSPACE_ROOT")
      ->delimiter(':')
      ->allow_extra_args(false);
  app.add_option(
         "--public-url", flags.public_url,
         "Where clients reach this server, such as https://contree.example.com; its host is "
         "an --allowed-host, and clients are told to ask for tokens for it")
      ->envname("CONTREE_MCP_PUBLIC_URL");
  app.add_option("--contree-service", flags.contree_service,
                 "HOST:PORT or unix:/path of contree-service")
      ->envname("CONTREE_MCP_CONTREE_SERVICE")
      ->required();
  app.add_option("--auth-service", flags.auth_service,
                 "HOST:PORT or unix:/path of auth-service; without it import_image and the tools "
                 "for registries "
                 "answer with an error")
      ->envname("CONTREE_MCP_AUTH_SERVICE");
  app.add_option("--sync-service", flags.sync_service,
                 "HOST:PORT or unix:/path of sync-service; without it directories cannot be synced")
      ->envname("CONTREE_MCP_SYNC_SERVICE");
  app.add_flag("--no-watch", flags.no_watch,
               "Walk a directory for each rsync instead of watching it for changes in between")
      ->envname("CONTREE_MCP_NO_WATCH");
  AddServicesTlsFlags(flags.services_tls, app);
  AddSecurityFlags(flags.security, app);
  app.add_option(
         "--limits-file", flags.limits_file,
         "JSON of what each tenant may use over HTTP (requests_per_second); read again when "
         "it changes; no limits by default")
      ->envname("CONTREE_MCP_LIMITS_FILE");
  app.add_option("--admin-listen", flags.admin_listen,
                 "HOST:PORT of /metrics, /healthz and /readyz over plain HTTP; none by default")
      ->envname("CONTREE_MCP_ADMIN_LISTEN");
  app.footer(kHealthCheckHelp);
  app.add_option("--grpc-listen", flags.grpc_listen,
                 "HOST:PORT or unix:/path for health and reflection")
      ->capture_default_str();
  app.add_option("--state-dir", flags.state_dir, "Taken as by every program; nothing is kept");
  app.add_option("--session-key-file", flags.session_key_file,
                 "Keys that gateways behind one address share, so that each can serve the others' "
                 "sessions: 32 bytes in base64 on each line, the first seals; without it the key "
                 "is this process's own")
      ->envname("CONTREE_MCP_SESSION_KEY_FILE");
  app.add_option("--log-level", flags.log_level, "debug, info, warning or error")
      ->envname("CONTREE_MCP_LOG_LEVEL")
      ->capture_default_str();
}

absl::Status ServeStdio(Gateway& gateway, const std::string& grpc_address,
                        std::atomic<bool>& is_ready) {
  LogInfo("contree-gateway serves", {{"mcp", "stdio"}, {"grpc", grpc_address}});
  absl::Status status;
  std::jthread conversation([&gateway, &status](const std::stop_token& stop) {
    status = gateway.RunStdio({}, stop);
    RequestTermination();
  });
  WaitForTermination();
  is_ready = false;
  conversation.request_stop();
  conversation.join();
  return status;
}

absl::Status ServeHttp(Gateway& gateway, const Flags& flags,
                       std::shared_ptr<Authenticator> authenticator,
                       std::shared_ptr<TenantLimits> limits, const std::string& grpc_address,
                       std::atomic<bool>& is_ready) {
  if (authenticator == nullptr && !IsLoopback(flags.http_listen)) {
    return absl::PermissionDeniedError(absl::StrCat(
        "refusing to listen on ", flags.http_listen,
        ": without authentication anybody who reaches it could run commands; add --auth=keys or "
        "--auth=jwt, or listen on 127.0.0.1"));
  }
  HttpOptions options = {
      .host = flags.http_listen,
      .port = flags.http_port,
      .tls = flags.http_tls,
      .allowed_hosts = flags.allowed_hosts,
      .admission = {
          .authenticator = std::move(authenticator),
          .issuer = flags.security.auth.mode == "jwt" ? flags.security.auth.jwt_issuer : "",
          .limits = std::move(limits),
          .public_url = flags.public_url}};
  if (!flags.public_url.empty()) {
    ASSIGN_OR_RETURN(const BaseUrl url, ParseBaseUrl(flags.public_url));
    options.allowed_hosts.push_back(url.host);
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpEndpoint> endpoint, gateway.ServeHttp(options));
  LogInfo("contree-gateway serves", {{"mcp", endpoint->url()}, {"grpc", grpc_address}});
  WaitForTermination();
  is_ready = false;
  LogInfo("contree-gateway drains");
  endpoint->Retire(kHttpGrace);
  endpoint->Stop();
  return absl::OkStatus();
}

absl::StatusOr<ServiceChannels> ChannelsTo(const Flags& flags) {
  ServiceChannels channels;
  ASSIGN_OR_RETURN(channels.contree_service, ChannelTo(flags.contree_service, flags.services_tls));
  if (!flags.auth_service.empty()) {
    ASSIGN_OR_RETURN(channels.auth_service, ChannelTo(flags.auth_service, flags.services_tls));
  }
  if (!flags.sync_service.empty()) {
    ASSIGN_OR_RETURN(channels.sync_service, ChannelTo(flags.sync_service, flags.services_tls));
  }
  return channels;
}

absl::Status Serve(const Flags& flags) {
  RETURN_IF_ERROR(InitLogging("contree-gateway", flags.log_level));
  ASSIGN_OR_RETURN(std::shared_ptr<Authenticator> authenticator,
                   OpenAuthenticator(flags.security.auth));
  static RealClock& clock = *new RealClock();  // for what outlives this
  std::shared_ptr<TenantLimits> limits;
  if (!flags.limits_file.empty()) {
    ASSIGN_OR_RETURN(limits, TenantLimits::Open(flags.limits_file, &clock));
  }
  if (authenticator != nullptr && flags.mode == "stdio") {
    return absl::InvalidArgumentError(
        "--auth is about callers over HTTP: over stdio the caller is whoever starts this program");
  }
  // Its files have no tenant: each would read and write the others'.
  if (authenticator != nullptr && !flags.workspace_roots.empty()) {
    return absl::InvalidArgumentError(
        "--workspace-root is for callers of one tenant, and --auth lets in several: leave it out; "
        "with contree-mcp --remote, rsync, upload and download work on the caller's own files");
  }
  ASSIGN_OR_RETURN(ServiceChannels channels, ChannelsTo(flags));
  ASSIGN_OR_RETURN(Workspace workspace,
                   Workspace::Choose(flags.mode == "stdio", flags.workspace_roots));
  ASSIGN_OR_RETURN(const std::unique_ptr<Gateway> gateway,
                   Gateway::Create(channels, std::move(workspace), /*open_in_browser=*/nullptr,
                                   flags.session_key_file, !flags.no_watch));
  ASSIGN_OR_RETURN(
      const std::unique_ptr<GrpcServer> grpc_server,
      GrpcServer::Start(
          {.listen = flags.grpc_listen, .authenticator = authenticator, .tls = flags.security.tls},
          {}));
  std::atomic<bool> is_ready = true;
  std::unique_ptr<AdminServer> admin;
  if (!flags.admin_listen.empty()) {
    ASSIGN_OR_RETURN(
        admin, AdminServer::Start(flags.admin_listen, [&is_ready] { return is_ready.load(); }));
    LogInfo("contree-gateway tells how it does", {{"admin", admin->url()}});
  }
  absl::Status status =
      flags.mode == "stdio"
          ? ServeStdio(*gateway, grpc_server->address(), is_ready)
          : ServeHttp(*gateway, flags, authenticator, limits, grpc_server->address(), is_ready);
  grpc_server->Drain(kDrainGrace);
  if (status.ok()) LogInfo("contree-gateway has ended");
  return status;
}

}  // namespace
}  // namespace contree::gateway

int main(int argc, char** argv) {
  if (const std::optional<int> exit_code = contree::RunHealthCheck(argc, argv);
      exit_code.has_value()) {
    return *exit_code;
  }
  contree::BlockTerminationSignals();
  contree::gateway::Flags flags;
  CLI::App app("MCP in front of the ConTree services", "contree-gateway");
  contree::gateway::Declare(flags, app);
  CLI11_PARSE(app, argc, argv);
  if (const absl::Status status = contree::gateway::Serve(flags); !status.ok()) {
    std::cerr << "contree-gateway: " << status.message() << std::endl;
    return 1;
  }
  return 0;
}
