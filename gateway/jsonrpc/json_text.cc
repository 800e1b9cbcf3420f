#include "gateway/jsonrpc/json_text.h"

#include <nlohmann/json.hpp>

namespace contree::gateway {
namespace {

template <typename Json>
std::string Dump(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// Whether a byte stands for itself in a JSON string; above ASCII, only the serialiser can tell.
bool IsPlain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

}  // namespace

std::string ToJsonText(const nlohmann::json& value) { return Dump(value); }
std::string ToJsonText(const nlohmann::ordered_json& value) { return Dump(value); }

std::string ToJsonString(absl::string_view text) {
  for (const char c : text) {
    if (!IsPlain(c)) return Dump(nlohmann::json(std::string(text)));
  }
  std::string quoted;
  quoted.reserve(text.size() + 2);
  quoted.push_back('"');
  quoted.append(text.data(), text.size());
  quoted.push_back('"');
  return quoted;
}

}  // namespace contree::gateway
