#include "gateway/mcp/mcp_server.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/mcp/instructions.h"
#include "gateway/tools/tool_registry.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// The revisions that begin with initialize, the newest last.
constexpr absl::string_view kProtocolVersions[] = {"2024-11-05", "2025-03-26", "2025-06-18",
                                                   "2025-11-25"};
constexpr absl::string_view kNewestProtocolVersion = "2025-11-25";

const std::string* FindString(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

}  // namespace

struct McpServer::Method {
  absl::string_view name;
  Effort effort;
  absl::StatusOr<std::string> (McpServer::*handle)(Message&, RequestContext&) const;
};

bool IsSupportedProtocolVersion(absl::string_view version) {
  for (const absl::string_view known : kProtocolVersions) {
    if (known == version) return true;
  }
  return false;
}

const McpServer::Method* McpServer::FindMethod(absl::string_view name) {
  static constexpr Method kMethods[] = {
      {"initialize", Effort::kImmediate, &McpServer::Initialize},
      {"ping", Effort::kImmediate, &McpServer::Ping},
      {"tools/list", Effort::kImmediate, &McpServer::ListTools},
      {"tools/call", Effort::kShort, &McpServer::CallTool},
  };
  for (const Method& method : kMethods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

Effort McpServer::EffortOf(const Message& request) const {
  const Method* method = FindMethod(request.method());
  if (method == nullptr) return Effort::kImmediate;
  if (method->effort == Effort::kShort) {
    const std::string* name = FindString(request.params(), "name");
    const Tool* tool = name == nullptr ? nullptr : tools_.Find(*name);
    if (tool != nullptr && tool->may_wait) return Effort::kWaits;
  }
  return method->effort;
}

absl::StatusOr<std::string> McpServer::Handle(Message& request, RequestContext& context) const {
  const Method* method = FindMethod(request.method());
  if (method == nullptr) {
    constexpr size_t kMaxShownBytes = 80;
    return MethodNotFound(request.method().substr(0, kMaxShownBytes));
  }
  return (this->*method->handle)(request, context);
}

absl::StatusOr<std::string> McpServer::Initialize(Message& request, RequestContext&) const {
  const std::string* wanted = FindString(request.params(), "protocolVersion");
  if (wanted == nullptr) {
    return InvalidParams("initialize needs a protocolVersion, such as \"2025-06-18\"");
  }
  const absl::string_view version =
      IsSupportedProtocolVersion(*wanted) ? absl::string_view(*wanted) : kNewestProtocolVersion;
  return absl::StrCat(R"({"protocolVersion":)", ToJsonString(version),
                      R"(,"capabilities":{"tools":{}},"serverInfo":{"name":)",
                      ToJsonString(kServerName), R"(,"title":"ConTree","version":)",
                      ToJsonString(kServerVersion), R"(},"instructions":)",
                      ToJsonString(kInstructions), "}");
}

absl::StatusOr<std::string> McpServer::Ping(Message&, RequestContext&) const { return "{}"; }

absl::StatusOr<std::string> McpServer::ListTools(Message& request, RequestContext&) const {
  // All tools fit on one page, so no cursor was ever given out.
  if (const auto cursor = request.params().find("cursor");
      cursor != request.params().end() && !cursor->is_null()) {
    return InvalidParams("this cursor did not come from here: tools/list has one page");
  }
  return tools_.ListJson();
}

absl::StatusOr<std::string> McpServer::CallTool(Message& request, RequestContext& context) const {
  json& params = request.params();
  const std::string* name = FindString(params, "name");
  if (name == nullptr) return InvalidParams("tools/call needs the name of a tool, a string");
  json arguments = json::object();
  if (const auto given = params.find("arguments"); given != params.end()) {
    arguments = std::move(*given);
  }
  return tools_.Call(*name, std::move(arguments), context);
}

}  // namespace contree::gateway
