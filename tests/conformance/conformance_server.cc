// The gateway's transport, router and registries over the suite's fixtures instead of ConTree's
// tools, so that the official conformance suite judges the code that speaks the protocol.
//
//   conformance_server
//
// Says {"mcp": URL} on stderr and serves until it is asked to end.

#include <iostream>
#include <memory>

#include "absl/status/statusor.h"
#include "common/server/termination.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "gateway/completions/completion_registry.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/text_sealer.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/resources/resource_registry.h"
#include "gateway/tools/tool_registry.h"
#include "gateway/transport/http_transport.h"
#include "tests/conformance/fixtures.h"

namespace contree::conformance {
namespace {

using namespace contree::gateway;  // NOLINT: this file puts the gateway's parts together

absl::Status Serve() {
  RETURN_IF_ERROR(InitLogging("conformance_server", "info"));
  const Services services{.contree = nullptr};
  const ToolRegistry tools(FixtureTools(), services);
  const ResourceRegistry resources(FixtureResources(), FixtureResourceTemplates(), services);
  const PromptRegistry prompts(FixturePrompts(), services);
  const CompletionRegistry completions(FixtureCompletions(), prompts, resources, services);
  ASSIGN_OR_RETURN(const TextSealer sealer, TextSealer::OfNewKey());
  const McpServer server({tools, resources, prompts, completions}, sealer);
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpTransport> transport,
                   HttpTransport::Start(server, {}));
  LogInfo("conformance_server serves", {{"mcp", transport->url()}});
  WaitForTermination();
  return absl::OkStatus();
}

}  // namespace
}  // namespace contree::conformance

int main() {
  contree::BlockTerminationSignals();
  if (const absl::Status status = contree::conformance::Serve(); !status.ok()) {
    std::cerr << "conformance_server: " << status.message() << std::endl;
    return 1;
  }
  return 0;
}
