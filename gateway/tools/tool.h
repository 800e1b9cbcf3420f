#ifndef GATEWAY_TOOLS_TOOL_H_
#define GATEWAY_TOOLS_TOOL_H_

// What a tool is: a descriptor as the client sees it and the handler behind it. Each tool has one
// file that holds both; tool_table.cc lists them.

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

// MCP's hints, each set on purpose.
struct ToolAnnotations {
  bool read_only;    // changes nothing
  bool destructive;  // may undo or remove what was there; without meaning for a read-only tool
  bool idempotent;   // calling it again with the same arguments changes nothing more
  bool open_world;   // reaches beyond the platform, for instance the internet
};

struct ToolOutput {
  // Conforms to the output schema. Its members keep the order in which they were set. It is sent as
  // structuredContent and as the first text. null: neither, for a tool without an output schema.
  nlohmann::ordered_json structured = nullptr;
  // The result is whole, but what it says is a failure.
  bool is_error = false;
  // Content blocks behind that text (see mcp/content.h).
  std::vector<nlohmann::ordered_json> content = {};
  // Instead of a result (see mcp/input_required.h).
  std::optional<InputRequired> input_required = std::nullopt;
};

// `arguments` fit the input schema, with defaults applied and no member null. Called by many
// threads at once. Any error becomes a result that says what failed (see tool_result.h).
using ToolHandler = absl::StatusOr<ToolOutput> (*)(const nlohmann::json& arguments,
                                                   RequestContext& context,
                                                   const Services& services);

struct Tool {
  std::string name;
  std::string title;
  ToolAnnotations annotations;
  std::string description;
  // JSON Schemas with an object at the root, without combinators: clients drop tools for those.
  std::string input_schema;
  std::string output_schema;  // empty: none
  // Whether a call may wait for minutes, so that transports watch if anybody still waits for it.
  bool may_wait = false;
  // Whether a call only computes: it runs where its request was read, before the next one.
  bool is_immediate = false;
  ToolHandler handler;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_TOOL_H_
