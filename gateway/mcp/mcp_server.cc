#include "gateway/mcp/mcp_server.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
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

// Everybody is told the same, and it changes with the program only.
constexpr CacheHints kListHints = {.ttl = absl::Hours(1), .scope = CacheScope::kPublic};

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

// What ends each result of the stateless era.
std::string ResultEnd(bool with_icons) {
  return absl::StrCat(R"("resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":)",
                      ServerInfoJson(with_icons), "}}");
}

// Puts members behind those of an object.
void AppendMembers(std::string& object_json, absl::string_view members_and_end) {
  object_json.pop_back();
  if (object_json.size() > 1) object_json.push_back(',');
  absl::StrAppend(&object_json, members_and_end);
}

}  // namespace

struct McpServer::Method {
  enum Eras { kSessionsOnly, kStatelessOnly, kBoth };

  bool IsOf(Era era) const {
    return eras == kBoth || (eras == kStatelessOnly) == (era == Era::kStateless);
  }

  absl::string_view name;
  Eras eras;
  Effort effort;
  Handler handle;
};

McpServer::McpServer(const Catalog& catalog, const TextSealer& sealer)
    : catalog_(catalog), sealer_(sealer) {}

const McpServer::Method* McpServer::FindMethod(absl::string_view name) {
  static constexpr Method kMethods[] = {
      {"tools/call", Method::kBoth, Effort::kShort, &McpServer::CallTool},
      {"tools/list", Method::kBoth, Effort::kImmediate, &McpServer::ListTools},
      {"resources/list", Method::kBoth, Effort::kImmediate, &McpServer::ListResources},
      {"resources/templates/list", Method::kBoth, Effort::kImmediate,
       &McpServer::ListResourceTemplates},
      {"resources/read", Method::kBoth, Effort::kShort, &McpServer::ReadResource},
      {"prompts/list", Method::kBoth, Effort::kImmediate, &McpServer::ListPrompts},
      {"prompts/get", Method::kBoth, Effort::kShort, &McpServer::GetPrompt},
      {"completion/complete", Method::kBoth, Effort::kShort, &McpServer::Complete},
      {"server/discover", Method::kStatelessOnly, Effort::kImmediate, &McpServer::Discover},
      {"initialize", Method::kSessionsOnly, Effort::kImmediate, &McpServer::Initialize},
      {"ping", Method::kSessionsOnly, Effort::kImmediate, &McpServer::Ping},
      {"logging/setLevel", Method::kSessionsOnly, Effort::kImmediate, &McpServer::SetLogLevel},
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

Scope McpServer::ScopeOf(const Message& request) const {
  if (request.method() != "tools/call") return Scope::kRead;
  const std::string* name = FindString(request.params(), "name");
  const Tool* tool = name == nullptr ? nullptr : catalog_.tools.Find(*name);
  return tool == nullptr || tool->annotations.read_only ? Scope::kRead : Scope::kRun;
}

absl::StatusOr<HandledRequest> McpServer::Handle(Message& request, const Negotiated& negotiated,
                                                 RequestContext& context) const {
  const Method* method = FindMethod(request.method());
  if (method == nullptr || !method->IsOf(context.era)) {
    constexpr size_t kMaxShownBytes = 80;
    return MethodNotFound(request.method().substr(0, kMaxShownBytes));
  }
  absl::StatusOr<HandledRequest> handled =
      (this->*method->handle)(Call{request, negotiated, context});
  if (context.era == Era::kStateless && !handled.ok() &&
      JsonRpcCode(handled.status()) == kResourceNotFoundCode) {
    return WithJsonRpcCode(handled.status(), kInvalidParamsCode);
  }
  return handled;
}

HandledRequest McpServer::Result(const Call& call, std::string json) const {
  if (call.context.era == Era::kStateless) {
    static const auto& end = *new std::string(ResultEnd(/*with_icons=*/false));
    AppendMembers(json, end);
  }
  return {.result_json = std::move(json)};
}

HandledRequest McpServer::CacheableResult(const Call& call, std::string json,
                                          const CacheHints& hints) const {
  if (call.context.era == Era::kStateless) {
    AppendMembers(
        json, absl::StrCat(R"("ttlMs":)", absl::ToInt64Milliseconds(hints.ttl), R"(,"cacheScope":)",
                           hints.scope == CacheScope::kPublic ? R"("public"})" : R"("private"})"));
  }
  return Result(call, std::move(json));
}

std::string McpServer::CapabilitiesJson(const RequestContext& context) const {
  std::string capabilities = R"({"tools":{},"logging":{})";
  if (!catalog_.resources.IsEmpty()) {
    absl::StrAppend(&capabilities, context.can_subscribe && catalog_.resources.HasWatches()
                                       ? R"(,"resources":{"subscribe":true})"
                                       : R"(,"resources":{})");
  }
  if (!catalog_.prompts.IsEmpty()) absl::StrAppend(&capabilities, R"(,"prompts":{})");
  if (!catalog_.completions.IsEmpty()) absl::StrAppend(&capabilities, R"(,"completions":{})");
  return absl::StrCat(capabilities, "}");
}

absl::StatusOr<HandledRequest> McpServer::Discover(const Call& call) const {
  return HandledRequest{
      .result_json = absl::StrCat(R"({"supportedVersions":)", SupportedVersionsJson(),
                                  R"(,"capabilities":)", CapabilitiesJson(call.context),
                                  R"(,"instructions":)", ToJsonString(kInstructions),
                                  R"(,"ttlMs":)", absl::ToInt64Milliseconds(kListHints.ttl),
                                  R"(,"cacheScope":"public",)", ResultEnd(/*with_icons=*/true))};
}

absl::StatusOr<HandledRequest> McpServer::Initialize(const Call& call) const {
  const json& params = call.request.params();
  const std::string* wanted = FindString(params, "protocolVersion");
  if (wanted == nullptr) {
    return InvalidParams("initialize needs a protocolVersion, such as \"2025-06-18\"");
  }
  Negotiated negotiated;
  negotiated.version = IsSessionVersion(*wanted) ? *wanted : std::string(kNewestSessionVersion);
  if (const auto capabilities = params.find("capabilities"); capabilities != params.end()) {
    negotiated.client = ReadClientCapabilities(*capabilities);
  }
  std::string result =
      absl::StrCat(R"({"protocolVersion":)", ToJsonString(negotiated.version),
                   R"(,"capabilities":)", CapabilitiesJson(call.context), R"(,"serverInfo":)",
                   ServerInfoJson(HasIcons(negotiated.version)), R"(,"instructions":)",
                   ToJsonString(kInstructions), "}");
  return HandledRequest{.result_json = std::move(result), .negotiated = std::move(negotiated)};
}

absl::StatusOr<HandledRequest> McpServer::Ping(const Call&) const {
  return HandledRequest{.result_json = "{}"};
}

absl::StatusOr<HandledRequest> McpServer::SetLogLevel(const Call& call) const {
  const std::string* name = FindString(call.request.params(), "level");
  const std::optional<LogLevel> level = name == nullptr ? std::nullopt : ReadLogLevel(*name);
  if (!level.has_value()) {
    return InvalidParams(
        "logging/setLevel needs a level: debug, info, notice, warning, error, critical, alert or "
        "emergency");
  }
  Negotiated negotiated = call.negotiated;
  negotiated.log_level = *level;
  return HandledRequest{.result_json = "{}", .negotiated = std::move(negotiated)};
}

absl::StatusOr<HandledRequest> McpServer::ListTools(const Call& call) const {
  RETURN_IF_ERROR(CheckCursor(call.request));
  return CacheableResult(call, catalog_.tools.ListJson(), kListHints);
}

absl::StatusOr<HandledRequest> McpServer::CallTool(const Call& call) const {
  const json& params = call.request.params();
  const std::string* name = FindString(params, "name");
  if (name == nullptr) return InvalidParams("tools/call needs the name of a tool, a string");
  static const json kNone = json::object();
  const auto arguments = params.find("arguments");
  ASSIGN_OR_RETURN(
      ToolRegistry::Result result,
      catalog_.tools.Call(*name, arguments == params.end() ? kNone : *arguments, call.context));
  if (result.input_required.has_value()) {
    return HandledRequest{.input_required = std::move(result.input_required)};
  }
  return Result(call, std::move(result.json));
}

absl::StatusOr<HandledRequest> McpServer::ListResources(const Call& call) const {
  RETURN_IF_ERROR(CheckCursor(call.request));
  return CacheableResult(call, catalog_.resources.ListJson(), kListHints);
}

absl::StatusOr<HandledRequest> McpServer::ListResourceTemplates(const Call& call) const {
  RETURN_IF_ERROR(CheckCursor(call.request));
  return CacheableResult(call, catalog_.resources.TemplatesJson(), kListHints);
}

absl::StatusOr<HandledRequest> McpServer::ReadResource(const Call& call) const {
  const std::string* uri = FindString(call.request.params(), "uri");
  if (uri == nullptr) return InvalidParams("resources/read needs a uri, a string");
  ASSIGN_OR_RETURN(ResourceRegistry::ReadResult result,
                   catalog_.resources.Read(*uri, call.context));
  ResourceContent& content = result.content;
  if (content.input_required.has_value()) {
    return HandledRequest{.input_required = std::move(content.input_required)};
  }
  std::string text = absl::StrCat(
      R"({"contents":[{"uri":)", ToJsonString(*uri), R"(,"mimeType":)",
      ToJsonString(content.mime_type), content.is_text ? R"(,"text":)" : R"(,"blob":)",
      ToJsonString(content.is_text ? content.data : absl::Base64Escape(content.data)), "}]}");
  return CacheableResult(call, std::move(text), result.cache);
}

absl::StatusOr<HandledRequest> McpServer::ListPrompts(const Call& call) const {
  RETURN_IF_ERROR(CheckCursor(call.request));
  return CacheableResult(call, catalog_.prompts.ListJson(), kListHints);
}

absl::StatusOr<HandledRequest> McpServer::GetPrompt(const Call& call) const {
  const json& params = call.request.params();
  const std::string* name = FindString(params, "name");
  if (name == nullptr) return InvalidParams("prompts/get needs the name of a prompt, a string");
  static const json kNone;
  const auto arguments = params.find("arguments");
  ASSIGN_OR_RETURN(
      PromptOutput output,
      catalog_.prompts.Get(*name, arguments == params.end() ? kNone : *arguments, call.context));
  if (output.input_required.has_value()) {
    return HandledRequest{.input_required = std::move(output.input_required)};
  }
  std::string result =
      absl::StrCat(R"({"description":)", ToJsonString(output.description), R"(,"messages":[)");
  for (const PromptMessage& message : output.messages) {
    absl::StrAppend(&result, &message == &output.messages.front() ? "" : ",", R"({"role":)",
                    message.role == PromptRole::kUser ? R"("user")" : R"("assistant")",
                    R"(,"content":)", ToJsonText(message.content), "}");
  }
  absl::StrAppend(&result, "]}");
  return Result(call, std::move(result));
}

absl::StatusOr<HandledRequest> McpServer::Complete(const Call& call) const {
  ASSIGN_OR_RETURN(std::string json,
                   catalog_.completions.Complete(call.request.params(), call.context));
  return Result(call, std::move(json));
}

}  // namespace contree::gateway
