#include "gateway/jsonrpc/message.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/jsonrpc/error.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

// Looks at the text before any of it is turned into values, so that a hostile message costs no
// memory.
absl::Status CheckShape(absl::string_view text, const ParseLimits& limits) {
  int depth = 0;
  size_t elements = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
      continue;
    }
    switch (c) {
      case '"':
        in_string = true;
        break;
      case '[':
      case '{':
        if (++depth > limits.max_depth) {
          return ParseError(absl::StrCat("nested deeper than ", limits.max_depth, " levels"));
        }
        break;
      case ']':
      case '}':
        --depth;
        break;
      case ',':
        if (++elements > limits.max_elements) {
          return ParseError(absl::StrCat("more than ", limits.max_elements, " values"));
        }
        break;
      default:
        break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Message> ReadMessage(json& value, bool has_id) {
  const auto version = value.find("jsonrpc");
  if (version == value.end() || *version != "2.0") {
    return InvalidRequest("\"jsonrpc\" must be \"2.0\"");
  }
  const auto method = value.find("method");
  if (method == value.end()) {
    if (value.contains("result") || value.contains("error")) {
      return Message(Message::Kind::kResponse, "", json::object());
    }
    return InvalidRequest("\"method\" is missing");
  }
  if (!method->is_string()) return InvalidRequest("\"method\" must be a string");
  json params = json::object();
  if (const auto given = value.find("params"); given != value.end() && !given->is_null()) {
    if (!given->is_object()) return InvalidRequest("\"params\" must be an object");
    params = std::move(*given);
  }
  return Message(has_id ? Message::Kind::kRequest : Message::Kind::kNotification,
                 std::move(method->get_ref<std::string&>()), std::move(params));
}

}  // namespace

Message::Message(Kind kind, std::string method, json params)
    : kind_(kind), method_(std::move(method)), params_(std::make_unique<json>(std::move(params))) {}
Message::Message(Message&&) noexcept = default;
Message& Message::operator=(Message&&) noexcept = default;
Message::~Message() = default;

std::optional<RequestId> ReadRequestId(const json& value) {
  if (value.is_string() || value.is_number_integer()) return RequestId{ToJsonText(value)};
  return std::nullopt;
}

ParsedMessage ParseMessage(absl::string_view text, const ParseLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return {std::nullopt, InvalidRequest(absl::StrCat("the message is larger than ",
                                                      limits.max_bytes, " bytes"))};
  }
  if (absl::Status shape = CheckShape(text, limits); !shape.ok()) return {std::nullopt, shape};
  json value = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return {std::nullopt, ParseError("the message is not valid JSON")};
  if (value.is_array()) {
    return {std::nullopt,
            InvalidRequest("batches are not part of this protocol; send one message at a time")};
  }
  if (!value.is_object()) return {std::nullopt, InvalidRequest("a message is a JSON object")};

  const auto id_value = value.find("id");
  const bool has_id = id_value != value.end();
  ParsedMessage parsed{std::nullopt, InvalidRequest("")};
  if (has_id) {
    parsed.id = ReadRequestId(*id_value);
    // A response may carry the id null: it answers an error without an id.
    if (!parsed.id.has_value() && value.contains("method")) {
      parsed.message = InvalidRequest("\"id\" must be a string or an integer");
      return parsed;
    }
  }
  parsed.message = ReadMessage(value, has_id);
  return parsed;
}

std::string SerializeResult(const RequestId& id, absl::string_view result_json) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id.json, R"(,"result":)", result_json, "}");
}

std::string SerializeError(const std::optional<RequestId>& id, const absl::Status& error) {
  const std::string data = JsonRpcErrorData(error);
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id.has_value() ? id->json : "null",
                      R"(,"error":{"code":)", JsonRpcCode(error), R"(,"message":)",
                      ToJsonString(error.message()), data.empty() ? "" : R"(,"data":)", data, "}}");
}

std::string SerializeNotification(absl::string_view method, absl::string_view params_json) {
  return absl::StrCat(R"({"jsonrpc":"2.0","method":)", ToJsonString(method), R"(,"params":)",
                      params_json, "}");
}

}  // namespace contree::gateway
