#ifndef GATEWAY_TESTING_FAKE_BACKEND_H_
#define GATEWAY_TESTING_FAKE_BACKEND_H_

// The real tools over real gRPC to a FakeContreeService, a FakeRegistryAuthService and a
// FakeSyncService in this process.

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "common/server/grpc_server.h"
#include "gateway/completions/completion_registry.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/request_context.h"
#include "gateway/mcp/text_sealer.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/resources/resource_registry.h"
#include "gateway/testing/fake_contree_service.h"
#include "gateway/testing/fake_registry_auth_service.h"
#include "gateway/testing/fake_sync_service.h"
#include "gateway/tools/tool_registry.h"

namespace contree::gateway {

inline constexpr char kBusyboxUuid[] = "95ba4f1b-a511-425b-8a3e-000000000001";

// Thread-safe. Has one image, kBusyboxUuid, tagged "busybox:latest".
class FakeBackend {
 public:
  FakeBackend();
  ~FakeBackend();

  FakeContreeService& service() { return service_; }
  FakeSyncService& sync_service() { return sync_; }
  // Before any call: what opens pages, what may be touched here, and a gateway that has no
  // auth-service or no sync-service.
  void SetBrowser(std::function<bool(const std::string& url)> open_in_browser) {
    services_.open_in_browser = std::move(open_in_browser);
  }
  void SetWorkspace(Workspace workspace) { services_.workspace = std::move(workspace); }
  void RemoveRegistryAuth() { services_.registry_auth = nullptr; }
  void RemoveSync() { services_.sync = nullptr; }
  const ToolRegistry& tools() const { return *tools_; }
  const ResourceRegistry& resources() const { return *resources_; }
  const PromptRegistry& prompts() const { return *prompts_; }
  const CompletionRegistry& completions() const { return *completions_; }
  const Services& services() const { return services_; }
  const McpServer& server() const { return *server_; }
  const TextSealer& sealer() const { return *sealer_; }
  std::shared_ptr<grpc::Channel> channel() { return channel_; }

  // The result of a tool; checks that it is well-formed and, unless it is an error, fits the tool's
  // output schema.
  nlohmann::json Call(const std::string& tool, const nlohmann::json& arguments);
  nlohmann::json Call(const std::string& tool, const nlohmann::json& arguments,
                      RequestContext& context);

  // Its structuredContent; the call has to succeed.
  nlohmann::json CallOk(const std::string& tool, const nlohmann::json& arguments);
  // Its text; the call has to fail.
  std::string CallError(const std::string& tool, const nlohmann::json& arguments);

 private:
  FakeContreeService service_;
  FakeRegistryAuthService registry_auth_;
  FakeSyncService sync_;
  std::unique_ptr<GrpcServer> grpc_server_;
  std::shared_ptr<grpc::Channel> channel_;
  Services services_;
  std::unique_ptr<ToolRegistry> tools_;
  std::unique_ptr<ResourceRegistry> resources_;
  std::unique_ptr<PromptRegistry> prompts_;
  std::unique_ptr<CompletionRegistry> completions_;
  std::unique_ptr<TextSealer> sealer_;
  std::unique_ptr<McpServer> server_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_FAKE_BACKEND_H_
