#include "gateway/mcp/request_meta.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

constexpr char kVersionKey[] = "io.modelcontextprotocol/protocolVersion";
constexpr char kCapabilitiesKey[] = "io.modelcontextprotocol/clientCapabilities";
constexpr char kLogLevelKey[] = "io.modelcontextprotocol/logLevel";
constexpr size_t kMaxShownBytes = 40;

// null where there is none, also because `object` is none.
const json& Member(const json& object, const char* key) {
  static const json kNone;
  const auto found = object.find(key);
  return found == object.end() ? kNone : *found;
}

absl::string_view Text(const json& value) {
  const auto* text = value.get_ptr<const std::string*>();
  return text == nullptr ? absl::string_view() : absl::string_view(*text);
}

TraceContext ReadTrace(const json& meta) {
  const absl::string_view traceparent = Text(Member(meta, "traceparent"));
  if (traceparent.empty()) return {};
  return CleanTraceContext(traceparent, Text(Member(meta, "tracestate")),
                           Text(Member(meta, "baggage")));
}

Era ChooseEra(const Message& request, const json& meta_version,
              const std::optional<std::string>* http_version) {
  if (!meta_version.is_null()) {
    return IsSessionVersion(Text(meta_version)) ? Era::kSessions : Era::kStateless;
  }
  const std::string& method = request.method();
  if (method == "initialize") return Era::kSessions;
  if (method == "server/discover" || method == "subscriptions/listen") return Era::kStateless;
  const bool names_stateless =
      http_version != nullptr && http_version->has_value() && **http_version == kStatelessVersion;
  return names_stateless ? Era::kStateless : Era::kSessions;
}

absl::Status CheckStatelessVersion(const json& meta_version,
                                   const std::optional<std::string>* http_version) {
  if (!meta_version.is_string()) {
    return InvalidParams(
        absl::StrCat("_meta needs \"", kVersionKey, "\", such as \"", kStatelessVersion, "\""));
  }
  const absl::string_view version = Text(meta_version);
  if (http_version != nullptr && !http_version->has_value()) {
    return HeaderMismatch("the header MCP-Protocol-Version is missing");
  }
  if (http_version != nullptr && **http_version != version) {
    return HeaderMismatch(
        absl::StrCat("MCP-Protocol-Version is '", (*http_version)->substr(0, kMaxShownBytes),
                     "', but the body says '", version.substr(0, kMaxShownBytes), "'"));
  }
  if (version != kStatelessVersion) return UnsupportedProtocolVersion(version);
  return absl::OkStatus();
}

}  // namespace

absl::Status UnsupportedProtocolVersion(absl::string_view requested) {
  const absl::string_view shown = requested.substr(0, kMaxShownBytes);
  return UnsupportedVersion(absl::StrCat(R"({"supported":)", SupportedVersionsJson(),
                                         R"(,"requested":)", ToJsonString(shown), "}"),
                            absl::StrCat("Unsupported protocol version: '", shown, "'"));
}

absl::StatusOr<RequestMeta> ReadRequestMeta(const Message& request,
                                            const std::optional<std::string>* http_version) {
  RequestMeta read;
  const json& meta = Member(request.params(), "_meta");
  const json& meta_version = Member(meta, kVersionKey);
  read.era = ChooseEra(request, meta_version, http_version);
  if (read.era == Era::kSessions) {
    if (http_version != nullptr && http_version->has_value() && request.method() != "initialize" &&
        !IsSessionVersion(**http_version)) {
      if (**http_version != kStatelessVersion) return UnsupportedProtocolVersion(**http_version);
      return HeaderMismatch(absl::StrCat("MCP-Protocol-Version is '", kStatelessVersion,
                                         "', but the body says '",
                                         Text(meta_version).substr(0, kMaxShownBytes), "'"));
    }
  } else {
    RETURN_IF_ERROR(CheckStatelessVersion(meta_version, http_version));
    const json& capabilities = Member(meta, kCapabilitiesKey);
    if (!capabilities.is_object()) {
      return InvalidParams(
          absl::StrCat("_meta needs \"", kCapabilitiesKey, "\", an object; empty: no capability"));
    }
    read.client = ReadClientCapabilities(capabilities);
    if (const json& level = Member(meta, kLogLevelKey); !level.is_null()) {
      read.log_level = ReadLogLevel(Text(level));
      if (!read.log_level.has_value()) {
        return InvalidParams(
            absl::StrCat("_meta has a \"", kLogLevelKey, "\" that is none; \"info\" is one"));
      }
    }
  }
  if (!meta.is_object()) return read;
  if (const auto token = meta.find("progressToken"); token != meta.end()) {
    // Tokens have the types of ids.
    if (auto id = ReadRequestId(*token)) read.progress_token_json = std::move(id->json);
  }
  read.trace = ReadTrace(meta);
  return read;
}

}  // namespace contree::gateway
