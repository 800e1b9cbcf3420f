#ifndef GATEWAY_TOOLS_TOOL_RESULT_H_
#define GATEWAY_TOOLS_TOOL_RESULT_H_

// The results of tools/call as JSON text. Thread-safe.

#include <string>

#include "absl/status/status.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {

// structuredContent, and the same JSON as the first text content: some clients read one, some the
// other. Not for an output with input_required.
std::string ToolResultJson(const ToolOutput& output);

// Every error of a tool becomes a result here: isError, with a text that says what failed and what
// to do next.
std::string ToolErrorJson(const absl::Status& status);

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_TOOL_RESULT_H_
