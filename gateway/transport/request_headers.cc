#include "gateway/transport/request_headers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

constexpr size_t kMaxShownBytes = 80;

// The member of params that Mcp-Name repeats; nullptr: the method has none.
const char* NamedMember(absl::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  return nullptr;
}

// nullopt: neither text nor its base64.
std::optional<std::string> Decode(absl::string_view value) {
  absl::string_view encoded = value;
  if (absl::ConsumePrefix(&encoded, "=?base64?") && absl::ConsumeSuffix(&encoded, "?=")) {
    std::string decoded;
    if (!absl::Base64Unescape(encoded, &decoded)) return std::nullopt;
    return decoded;
  }
  const bool is_text = std::all_of(value.begin(), value.end(),
                                   [](char c) { return (c >= ' ' && c <= '~') || c == '\t'; });
  return is_text ? std::optional<std::string>(value) : std::nullopt;
}

// Of text from outside in a message: it may be anything.
std::string Shown(absl::string_view text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, kMaxShownBytes)), "'");
}

}  // namespace

absl::Status CheckRequestHeaders(const Message& request, const RequestHeaders& headers) {
  if (!headers.method.has_value()) return HeaderMismatch("the header Mcp-Method is missing");
  if (*headers.method != request.method()) {
    return HeaderMismatch(absl::StrCat("Mcp-Method is ", Shown(*headers.method),
                                       ", but the body says ", Shown(request.method())));
  }
  const char* member = NamedMember(request.method());
  if (member == nullptr) return absl::OkStatus();
  const auto named = request.params().find(member);
  const auto* body_name =
      named == request.params().end() ? nullptr : named->get_ptr<const std::string*>();
  // Without one the request is wrong in itself, which its method says better.
  if (body_name == nullptr && !headers.name.has_value()) return absl::OkStatus();
  if (!headers.name.has_value()) return HeaderMismatch("the header Mcp-Name is missing");
  const std::optional<std::string> name = Decode(*headers.name);
  if (!name.has_value()) {
    return HeaderMismatch(absl::StrCat("Mcp-Name is ", Shown(*headers.name),
                                       ", which is neither plain text nor =?base64?…?="));
  }
  if (body_name == nullptr || *name != *body_name) {
    return HeaderMismatch(absl::StrCat("Mcp-Name is ", Shown(*name), ", but params.", member,
                                       " is ",
                                       body_name == nullptr ? "missing" : Shown(*body_name)));
  }
  return absl::OkStatus();
}

}  // namespace contree::gateway
