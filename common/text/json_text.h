#ifndef GATEWAY_JSONRPC_JSON_TEXT_H_
#define GATEWAY_JSONRPC_JSON_TEXT_H_

// The one way here to make JSON text: compact, on one line, bytes that are no UTF-8 replaced.
// Thread-safe.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/strings/string_view.h"

namespace contree::gateway {

std::string ToJsonText(const nlohmann::json& value);
std::string ToJsonText(const nlohmann::ordered_json& value);
// A JSON string with its quotes.
std::string ToJsonString(absl::string_view text);

}  // namespace contree::gateway

#endif  // GATEWAY_JSONRPC_JSON_TEXT_H_
