#include "gateway/mcp/mcp_server.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "gateway/completions/completion_registry.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/mcp/instructions.h"
#include "gateway/prompts/prompt_registry.h"
#include "gateway/resources/resource_registry.h"
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

// Everything fits on one page, so no cursor was ever given out.
absl::Status CheckCursor(const Message& request) {
  const auto cursor = request.params().find("cursor");
  if (cursor == request.params().end() || cursor->is_null()) return absl::OkStatus();
  return InvalidParams(
      absl::StrCat("this cursor did not come from here: ", request.method(), " has one page"));
}

std::string CapabilitiesJson(const Catalog& catalog) {
  std::string capabilities = R"({"tools":{})";
  if (!catalog.resources.IsEmpty()) absl::StrAppend(&capabilities, R"(,"resources":{})");
  if (!catalog.prompts.IsEmpty()) absl::StrAppend(&capabilities, R"(,"prompts":{})");
  if (!catalog.completions.IsEmpty()) absl::StrAppend(&capabilities, R"(,"completions":{})");
  return absl::StrCat(capabilities, "}");
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
      {"resources/list", Effort::kImmediate, &McpServer::ListResources},
      {"resources/templates/list", Effort::kImmediate, &McpServer::ListResourceTemplates},
      {"resources/read", Effort::kShort, &McpServer::ReadResource},
      {"prompts/list", Effort::kImmediate, &McpServer::ListPrompts},
      {"prompts/get", Effort::kShort, &McpServer::GetPrompt},
      {"completion/complete", Effort::kShort, &McpServer::Complete},
  };
  for (const Method& method : kMethods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

Effort McpServer::EffortOf(const Message& request) const {
  const Method* method = FindMethod(request.method());
  if (method == nullptr) return Effort::kImmediate;
  if (method->handle == &McpServer::CallTool) {
    const std::string* name = FindString(request.params(), "name");
    const Tool* tool = name == nullptr ? nullptr : catalog_.tools.Find(*name);
    if (tool == nullptr || tool->is_immediate) return Effort::kImmediate;
    if (tool->may_wait) return Effort::kWaits;
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
  return absl::StrCat(R"({"protocolVersion":)", ToJsonString(version), R"(,"capabilities":)",
                      CapabilitiesJson(catalog_), R"(,"serverInfo":{"name":)",
                      ToJsonString(kServerName), R"(,"title":"ConTree","version":)",
                      ToJsonString(kServerVersion), R"(},"instructions":)",
                      ToJsonString(kInstructions), "}");
}

absl::StatusOr<std::string> McpServer::Ping(Message&, RequestContext&) const { return "{}"; }

absl::StatusOr<std::string> McpServer::ListTools(Message& request, RequestContext&) const {
  RETURN_IF_ERROR(CheckCursor(request));
  return catalog_.tools.ListJson();
}

absl::StatusOr<std::string> McpServer::CallTool(Message& request, RequestContext& context) const {
  const json& params = request.params();
  const std::string* name = FindString(params, "name");
  if (name == nullptr) return InvalidParams("tools/call needs the name of a tool, a string");
  static const json kNone = json::object();
  const auto arguments = params.find("arguments");
  ASSIGN_OR_RETURN(
      ToolRegistry::Result result,
      catalog_.tools.Call(*name, arguments == params.end() ? kNone : *arguments, context));
  return std::move(result.json);
}

absl::StatusOr<std::string> McpServer::ListResources(Message& request, RequestContext&) const {
  RETURN_IF_ERROR(CheckCursor(request));
  return catalog_.resources.ListJson();
}

absl::StatusOr<std::string> McpServer::ListResourceTemplates(Message& request,
                                                             RequestContext&) const {
  RETURN_IF_ERROR(CheckCursor(request));
  return catalog_.resources.TemplatesJson();
}

absl::StatusOr<std::string> McpServer::ReadResource(Message& request,
                                                    RequestContext& context) const {
  const std::string* uri = FindString(request.params(), "uri");
  if (uri == nullptr) return InvalidParams("resources/read needs a uri, a string");
  ASSIGN_OR_RETURN(const ResourceRegistry::ReadResult result,
                   catalog_.resources.Read(*uri, context));
  const ResourceContent& content = result.content;
  return absl::StrCat(
      R"({"contents":[{"uri":)", ToJsonString(*uri), R"(,"mimeType":)",
      ToJsonString(content.mime_type), content.is_text ? R"(,"text":)" : R"(,"blob":)",
      ToJsonString(content.is_text ? content.data : absl::Base64Escape(content.data)), "}]}");
}

absl::StatusOr<std::string> McpServer::ListPrompts(Message& request, RequestContext&) const {
  RETURN_IF_ERROR(CheckCursor(request));
  return catalog_.prompts.ListJson();
}

absl::StatusOr<std::string> McpServer::GetPrompt(Message& request, RequestContext& context) const {
  const json& params = request.params();
  const std::string* name = FindString(params, "name");
  if (name == nullptr) return InvalidParams("prompts/get needs the name of a prompt, a string");
  static const json kNone;
  const auto arguments = params.find("arguments");
  ASSIGN_OR_RETURN(
      const PromptOutput output,
      catalog_.prompts.Get(*name, arguments == params.end() ? kNone : *arguments, context));
  std::string result =
      absl::StrCat(R"({"description":)", ToJsonString(output.description), R"(,"messages":[)");
  for (const PromptMessage& message : output.messages) {
    absl::StrAppend(&result, &message == &output.messages.front() ? "" : ",", R"({"role":)",
                    message.role == PromptRole::kUser ? R"("user")" : R"("assistant")",
                    R"(,"content":)", ToJsonText(message.content), "}");
  }
  absl::StrAppend(&result, "]}");
  return result;
}

absl::StatusOr<std::string> McpServer::Complete(Message& request, RequestContext& context) const {
  return catalog_.completions.Complete(request.params(), context);
}

}  // namespace contree::gateway
