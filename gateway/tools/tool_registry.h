#ifndef GATEWAY_TOOLS_TOOL_REGISTRY_H_
#define GATEWAY_TOOLS_TOOL_REGISTRY_H_

// Tools by name: tools/list and tools/call without the protocol around them.

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {

// Thread-safe. Schemas are compiled when they are first needed, so that a start costs nothing.
class ToolRegistry {
 public:
  // `services` must outlive it.
  ToolRegistry(std::vector<Tool> tools, const Services& services);
  ~ToolRegistry();
  ToolRegistry(const ToolRegistry&) = delete;
  ToolRegistry& operator=(const ToolRegistry&) = delete;

  // {"tools": […]}, in the order of the table; always the same.
  const std::string& ListJson() const;

  // nullptr: no such tool.
  const Tool* Find(absl::string_view name) const;

  struct Result {
    std::string json;                                            // the result of tools/call
    std::optional<InputRequired> input_required = std::nullopt;  // instead of it
  };
  // What goes wrong in the tool is a result too.
  // InvalidParams (see jsonrpc/error.h): no such tool.
  absl::StatusOr<Result> Call(absl::string_view name, const nlohmann::json& arguments,
                              RequestContext& context) const;

 private:
  struct Entry;

  const Entry* FindEntry(absl::string_view name) const;

  const Services& services_;
  std::vector<std::unique_ptr<Entry>> entries_;
  struct Listing;
  std::unique_ptr<Listing> listing_;
};

}  // namespace contree::gateway

#endif  // GATEWAY_TOOLS_TOOL_REGISTRY_H_
