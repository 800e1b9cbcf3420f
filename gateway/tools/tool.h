#ifndef GATEWAY_TOOLS_TOOL_H_
#define GATEWAY_TOOLS_TOOL_H_

// What a tool is: a descriptor as the client sees it and the handler behind it. Each tool has one
// file that holds both; tool_table.cc lists them.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "common/time/clock.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "gateway/mcp/request_context.h"
#include "gateway/workspace/workspace.h"

namespace contree::gateway {

// What handlers call and touch. Thread-safe, as gRPC's stubs are; owned by the Gateway.
struct Services {
  std::unique_ptr<contree::v1::ContreeService::StubInterface> contree;
  std::unique_ptr<Clock> clock = std::make_unique<RealClock>();
  Workspace workspace = {};  // the files of this machine; by itself none
};

// MCP's hints, each set on purpose.
struct ToolAnnotations {
  bool read_only;    // changes nothing
  bool destructive;  // may undo or remove what was there; without meaning for a read-only tool
  bool idempotent;   // calling it again with the same arguments changes nothing more
  bool open_world;   // reaches beyond the platform, for instance the internet
};

struct ToolOutput {
  // Conforms to the output schema. Its members keep the order in which they were set.
  nlohmann::ordered_json structured;
  // The result is whole, but what it says is a failure.
  bool is_error = false;
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
  std::string output_schema;
  // Whether a call may wait for minutes, so that transports watch if anybody still waits for it.
  bool may_wait = false;
  ToolHandler handler;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_TOOL_H_
