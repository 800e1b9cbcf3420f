#ifndef GATEWAY_TESTING_ASKING_SERVER_H_
#define GATEWAY_TESTING_ASKING_SERVER_H_

// An McpServer whose tools, prompt and resource ask their client for something, log and report:
// what the real ones do rarely, or only with a platform behind them.
//
//   greet(formal)   asks for a form "name", then for a "title" too where formal; says both
//   sign_in         asks for the page https://example.com/sign-in; says the action
//   talk            logs "quiet" (debug) and "loud" (warning), reports "half way"
//   ask_for_ever    asks for a form again and again
//   prompt greet, resource test://greeting: as the tool, for a name only

#include <string>

#include "gateway/completions/completion_registry.h"
#include "gateway/mcp/mcp_server.h"
#include "gateway/mcp/services.h"
#include "gateway/mcp/text_sealer.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/resources/resource_registry.h"
#include "gateway/tools/tool_registry.h"

namespace contree::gateway {

class AskingServer {
 public:
  // With a key of its own, or one that is shared.
  AskingServer();
  explicit AskingServer(TextSealer sealer);

  const McpServer& server() const { return server_; }
  const TextSealer& sealer() const { return sealer_; }

 private:
  const Services services_;
  const ToolRegistry tools_;
  const ResourceRegistry resources_;
  const PromptRegistry prompts_;
  const CompletionRegistry completions_;
  const TextSealer sealer_;
  const McpServer server_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TESTING_ASKING_SERVER_H_
