#ifndef TESTS_FUZZ_FUZZED_SERVER_H_
#define TESTS_FUZZ_FUZZED_SERVER_H_

// The router and registries that fuzz targets send messages to: the conformance suite's fixtures,
// which answer with every kind of content and need no service, on a clock that does not wait.

#include <string>

#include "absl/strings/string_view.h"
#include "gateway/completions/completion_registry.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/services.h"
#include "gateway/mcp/text_sealer.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/resources/resource_registry.h"
#include "gateway/tools/tool_registry.h"

namespace contree::fuzz {

// Thread-safe.
class FuzzedServer {
 public:
  FuzzedServer();

  const gateway::McpServer& server() const { return server_; }

 private:
  const gateway::Services services_;
  const gateway::ToolRegistry tools_;
  const gateway::ResourceRegistry resources_;
  const gateway::PromptRegistry prompts_;
  const gateway::CompletionRegistry completions_;
  const gateway::TextSealer sealer_;
  const gateway::McpServer server_;
};

// Ends the program, which is how a fuzz target fails, unless `text` is what may go to a client: on
// one line, JSON, of version 2.0, with a result, an error or a method; or an array of such.
void RequireMessage(absl::string_view text);

// Whether a message waits for an answer.
bool IsRequest(absl::string_view text);

}  // namespace contree::fuzz

#endif  // TESTS_FUZZ_FUZZED_SERVER_H_
