#include "local-backend/operations/stream_representation.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace contree {

nlohmann::json ToStreamRepresentation(absl::string_view bytes, bool truncated) {
  const bool is_text = std::all_of(bytes.begin(), bytes.end(), [](char c) {
    return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r';
  });
  return {{"value", is_text ? std::string(bytes) : absl::Base64Escape(bytes)},
          {"encoding", is_text ? "ascii" : "base64"},
          {"truncated", truncated}};
}

absl::StatusOr<std::string> FromStreamRepresentation(const nlohmann::json& representation) {
  if (!representation.is_object()) return absl::InvalidArgumentError("a stream must be an object");
  const auto value = representation.find("value");
  if (value == representation.end() || value->is_null()) return std::string();
  if (!value->is_string())
    return absl::InvalidArgumentError("the value of a stream must be a string");
  std::string encoding = "ascii";
  if (const auto found = representation.find("encoding");
      found != representation.end() && !found->is_null()) {
    if (!found->is_string())
      return absl::InvalidArgumentError("the encoding of a stream must be a string");
    encoding = found->get<std::string>();
  }
  std::string text = value->get<std::string>();
  if (encoding == "ascii" || encoding == "utf-8") return text;
  if (encoding != "base64") {
    return absl::InvalidArgumentError(
        absl::StrCat("unknown encoding \"", encoding, "\" of a stream: use ascii or base64"));
  }
  std::string bytes;
  if (!absl::Base64Unescape(text, &bytes)) {
    return absl::InvalidArgumentError("the value of a stream is not base64");
  }
  return bytes;
}

}  // namespace contree
