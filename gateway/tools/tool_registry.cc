#include "gateway/tools/tool_registry.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/status/status_context.h"
#include "common/telemetry/metrics.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/tools/arguments.h"
#include "gateway/tools/tool_result.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kMaxShownNameBytes = 80;

ordered_json ReadSchema(const std::string& text) {
  return ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

ordered_json DescriptorJson(const Tool& tool) {
  ordered_json json = ordered_json::object();
  json["name"] = tool.name;
  json["title"] = tool.title;
  json["description"] = tool.description;
  json["inputSchema"] = ReadSchema(tool.input_schema);
  if (!tool.output_schema.empty()) json["outputSchema"] = ReadSchema(tool.output_schema);
  json["annotations"] = {
      {"title", tool.title},
      {"readOnlyHint", tool.annotations.read_only},
      {"destructiveHint", tool.annotations.destructive},
      {"idempotentHint", tool.annotations.idempotent},
      {"openWorldHint", tool.annotations.open_world},
  };
  return json;
}

// Counts one call by how it ended; without an outcome, as a fault of ours.
class ToolMeter {
 public:
  ToolMeter(absl::string_view tool, absl::string_view tenant)
      : tool_(tool), tenant_(tenant), began_(absl::Now()) {
    Running().Add({}, 1);
  }
  ~ToolMeter() {
    static auto& calls = *new CounterMetric("contree_tool_calls_total", "Calls of MCP tools.",
                                            {"tool", "tenant", "outcome"});
    static auto& durations = *new DurationMetric("contree_tool_duration_seconds",
                                                 "How long calls of MCP tools took.", {"tool"});
    Running().Add({}, -1);
    calls.Add({tool_, tenant_, outcome_});
    durations.Observe({tool_}, absl::ToDoubleSeconds(absl::Now() - began_));
  }
  ToolMeter(const ToolMeter&) = delete;
  ToolMeter& operator=(const ToolMeter&) = delete;
  void set_outcome(absl::string_view outcome) { outcome_ = outcome; }

 private:
  static GaugeMetric& Running() {
    static auto& metric = *new GaugeMetric("contree_tool_calls_running",
                                           "Calls of MCP tools that were not answered yet.");
    return metric;
  }

  const absl::string_view tool_;
  const absl::string_view tenant_;
  const absl::Time began_;
  absl::string_view outcome_ = "fault";
};

}  // namespace

struct ToolRegistry::Entry {
  explicit Entry(Tool tool) : tool(std::move(tool)) {}

  const Tool tool;
  mutable std::once_flag once;
  mutable absl::StatusOr<std::unique_ptr<ArgumentChecker>> checker;
};

struct ToolRegistry::Listing {
  std::once_flag once;
  std::string json;
};

ToolRegistry::ToolRegistry(std::vector<Tool> tools, const Services& services)
    : services_(services), listing_(std::make_unique<Listing>()) {
  for (Tool& tool : tools) entries_.push_back(std::make_unique<Entry>(std::move(tool)));
}

ToolRegistry::~ToolRegistry() = default;

const std::string& ToolRegistry::ListJson() const {
  std::call_once(listing_->once, [this] {
    ordered_json tools = ordered_json::array();
    for (const auto& entry : entries_) tools.push_back(DescriptorJson(entry->tool));
    listing_->json = ordered_json{{"tools", std::move(tools)}}.dump();
  });
  return listing_->json;
}

const ToolRegistry::Entry* ToolRegistry::FindEntry(absl::string_view name) const {
  for (const auto& entry : entries_) {
    if (entry->tool.name == name) return entry.get();
  }
  return nullptr;
}

const Tool* ToolRegistry::Find(absl::string_view name) const {
  const Entry* entry = FindEntry(name);
  return entry == nullptr ? nullptr : &entry->tool;
}

absl::StatusOr<ToolRegistry::Result> ToolRegistry::Call(absl::string_view name,
                                                        const json& arguments,
                                                        RequestContext& context) const {
  const Entry* entry = FindEntry(name);
  if (entry == nullptr) {
    const std::string names =
        absl::StrJoin(entries_, ", ", [](std::string* out, const std::unique_ptr<Entry>& known) {
          absl::StrAppend(out, known->tool.name);
        });
    return InvalidParams(absl::StrCat("unknown tool '", name.substr(0, kMaxShownNameBytes),
                                      "'; the tools are ", names));
  }
  ToolMeter meter(entry->tool.name, context.call.tenant);
  std::call_once(entry->once,
                 [entry] { entry->checker = ArgumentChecker::Create(entry->tool.input_schema); });
  if (!entry->checker.ok()) return entry->checker.status();
  const absl::StatusOr<json> checked = (*entry->checker)->Check(arguments);
  if (!checked.ok()) {
    meter.set_outcome("invalid_arguments");
    return Result{ToolErrorJson(Annotate(checked.status(), entry->tool.name))};
  }
  try {
    absl::StatusOr<ToolOutput> output = entry->tool.handler(*checked, context, services_);
    if (!output.ok()) {
      meter.set_outcome("error");
      return Result{ToolErrorJson(output.status())};
    }
    meter.set_outcome("ok");
    if (output->input_required.has_value()) return Result{"", std::move(output->input_required)};
    return Result{ToolResultJson(*output)};
  } catch (const std::exception& error) {
    // A handler and its schema do not agree: ours to mend, nothing the agent can do.
    return absl::InternalError(absl::StrCat("tool ", entry->tool.name, ": ", error.what()));
  }
}

}  // namespace contree::gateway
