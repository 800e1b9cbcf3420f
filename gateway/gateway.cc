#include "gateway/gateway.h"

#include <grpcpp/channel.h>

#include <utility>

#include "common/server/listen_address.h"
#include "common/status/status_macros.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "gateway/completions/completion_registry.h"
#include "gateway/completions/completion_table.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/text_sealer.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/prompts/prompt_table.h"
#include "gateway/resources/resource_registry.h"
#include "gateway/resources/resource_table.h"
#include "gateway/tools/tool_registry.h"
#include "gateway/tools/tool_table.h"
#include "gateway/transport/http_transport.h"
#include "gateway/transport/stdio_transport.h"
#include "gateway/web/web_site.h"

namespace contree::gateway {
namespace {

class HttpTransportEndpoint final : public HttpEndpoint {
 public:
  explicit HttpTransportEndpoint(std::unique_ptr<HttpTransport> transport)
      : transport_(std::move(transport)) {}

  int port() const override { return transport_->port(); }
  std::string url() const override { return transport_->url(); }
  void Retire(absl::Duration grace) override { transport_->Retire(grace); }
  void Stop() override { transport_->Stop(); }

 private:
  const std::unique_ptr<HttpTransport> transport_;
};

}  // namespace

struct Gateway::Parts {
  Parts(const ServiceChannels& channels, Workspace workspace,
        std::function<bool(const std::string& url)> open_in_browser, TextSealer text_sealer,
        bool watch_sources)
      : services{.contree = contree::v1::ContreeService::NewStub(channels.contree_service),
                 .registry_auth =
                     channels.auth_service == nullptr
                         ? nullptr
                         : auth::v1::RegistryAuthService::NewStub(channels.auth_service),
                 .sync = channels.sync_service == nullptr
                             ? nullptr
                             : sync::v1::SyncService::NewStub(channels.sync_service),
                 .trees = std::make_unique<SyncedTrees>(watch_sources),
                 .open_in_browser = std::move(open_in_browser),
                 .workspace = std::move(workspace)},
        tools(ToolTable(), services),
        resources(ResourceTable(), ResourceTemplateTable(), services),
        prompts(PromptTable(), services),
        completions(CompletionTable(), prompts, resources, services),
        sealer(std::move(text_sealer)),
        server({tools, resources, prompts, completions}, sealer),
        pages({tools, resources, prompts, completions}, services) {}

  const Services services;
  const ToolRegistry tools;
  const ResourceRegistry resources;
  const PromptRegistry prompts;
  const CompletionRegistry completions;
  const TextSealer sealer;
  const McpServer server;
  const WebSite pages;
};

namespace {

absl::StatusOr<TextSealer> MakeSealer(const std::string& key_file) {
  if (key_file.empty()) return TextSealer::OfNewKey();
  // A mounted secret belongs to somebody else, and may be read by a group.
  ASSIGN_OR_RETURN(KeyRing keys, KeyRing::Load(key_file, /*must_be_private=*/false));
  return TextSealer(std::move(keys), /*is_shared=*/true);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Create(
    const ServiceChannels& channels, Workspace workspace,
    std::function<bool(const std::string& url)> open_in_browser,
    const std::string& session_key_file, bool watch_sources) {
  if (channels.contree_service == nullptr) {
    return absl::InvalidArgumentError("the gateway needs a channel to contree-service");
  }
  ASSIGN_OR_RETURN(TextSealer sealer, MakeSealer(session_key_file));
  return std::unique_ptr<Gateway>(new Gateway(
      std::make_unique<Parts>(channels, std::move(workspace), std::move(open_in_browser),
                              std::move(sealer), watch_sources)));
}

Gateway::Gateway(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Gateway::~Gateway() = default;

absl::Status Gateway::RunStdio(const StdioOptions& options, std::stop_token stop) {
  StdioTransportOptions transport;
  transport.input_fd = options.input_fd;
  transport.output_fd = options.output_fd;
  return RunStdioTransport(parts_->server, transport, std::move(stop));
}

absl::StatusOr<std::unique_ptr<HttpEndpoint>> Gateway::ServeHttp(const HttpOptions& options) {
  if (options.admission.authenticator == nullptr) RETURN_IF_ERROR(RequireLoopback(options.host));
  HttpTransportOptions transport;
  transport.host = options.host;
  transport.port = options.port;
  if (!options.tls.empty()) {
    ASSIGN_OR_RETURN(transport.tls, TlsServer::Open(options.tls));
  }
  transport.allowed_hosts = options.allowed_hosts;
  transport.allowed_hosts.push_back(options.host);  // 127.0.0.2 is loopback as well
  transport.admission = options.admission;
  transport.pages = [this](HttpExchange& exchange, const HttpAdmission& admission) {
    return parts_->pages.Handle(exchange, admission);
  };
  ASSIGN_OR_RETURN(std::unique_ptr<HttpTransport> started,
                   HttpTransport::Start(parts_->server, transport));
  return std::make_unique<HttpTransportEndpoint>(std::move(started));
}

}  // namespace contree::gateway
