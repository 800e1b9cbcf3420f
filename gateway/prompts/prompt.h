#ifndef GATEWAY_PROMPTS_PROMPT_H_
#define GATEWAY_PROMPTS_PROMPT_H_

// What a prompt is: a descriptor as the client sees it and the handler behind it. Each prompt has
// one file that holds both; prompt_table.cc lists them.

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/mcp/content.h"
#include "gateway/mcp/input_required.h"
#include "gateway/mcp/request_context.h"
#include "gateway/mcp/services.h"

namespace contree::gateway {

struct PromptArgument {
  std::string name;
  std::string description;
  bool required = false;
  // What the handler gets where the client gave nothing; MCP cannot express it, so say it in the
  // description. nullopt: the argument is missing then.
  std::optional<std::string> default_value = std::nullopt;
};

enum class PromptRole { kUser, kAssistant };

struct PromptMessage {
  PromptRole role = PromptRole::kUser;
  nlohmann::ordered_json content;  // see mcp/content.h
};

struct PromptOutput {
  std::vector<PromptMessage> messages = {};
  std::string description = "";  // empty: the prompt's own
  // Instead of messages (see mcp/input_required.h).
  std::optional<InputRequired> input_required = std::nullopt;
};

// By name: what the client gave, completed with the defaults. All required ones are there and not
// empty.
using PromptArguments = std::map<std::string, std::string>;

// Called by many threads at once. InvalidArgument tells the client that an argument is wrong
// (-32602); other errors become internal ones with their message.
using PromptHandler = absl::StatusOr<PromptOutput> (*)(const PromptArguments& arguments,
                                                       RequestContext& context,
                                                       const Services& services);

struct Prompt {
  std::string name;
  std::string title;
  std::string description;
  std::vector<PromptArgument> arguments;
  PromptHandler handler;
};

}  // namespace contree::gateway

#endif  // GATEWAY_PROMPTS_PROMPT_H_
