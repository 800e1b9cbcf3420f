#include "gateway/jsonrpc/message.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
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
    for (const char* member : {"result", "error"}) {
      if (const auto found = value.find(member); found != value.end()) {
        json content = json::object();
        content[member] = std::move(*found);
        return Message(Message::Kind::kResponse, "", std::move(content));
      }
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

absl::StatusOr<json> ParseJson(absl::string_view text, const ParseLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return InvalidRequest(absl::StrCat("the message is larger than ", limits.max_bytes, " bytes"));
  }
  RETURN_IF_ERROR(CheckShape(text, limits));
  json value = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return ParseError("the message is not valid JSON");
  return value;
}

ParsedMessage ReadParsed(json& value) {
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
  absl::StatusOr<json> value = ParseJson(text, limits);
  if (!value.ok()) return {std::nullopt, value.status()};
  if (value->is_array()) {
    return {std::nullopt,
            InvalidRequest("batches are part of protocol 2025-03-26 only; send one message at a "
                           "time")};
  }
  return ReadParsed(*value);
}

bool IsBatch(absl::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != absl::string_view::npos && text[first] == '[';
}

absl::StatusOr<std::vector<ParsedMessage>> ParseBatch(absl::string_view text,
                                                      const ParseLimits& limits) {
  ASSIGN_OR_RETURN(json value, ParseJson(text, limits));
  if (!value.is_array()) return InvalidRequest("a batch is a JSON array");
  if (value.empty()) return InvalidRequest("the batch is empty");
  if (value.size() > limits.max_batch) {
    return InvalidRequest(absl::StrCat("the batch has ", value.size(), " messages; at most ",
                                       limits.max_batch, " are taken"));
  }
  std::vector<ParsedMessage> messages;
  messages.reserve(value.size());
  for (json& element : value) messages.push_back(ReadParsed(element));
  return messages;
}

std::string SerializeRequest(const RequestId& id, absl::string_view method,
                             absl::string_view params_json) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id.json, R"(,"method":)", ToJsonString(method),
                      R"(,"params":)", params_json, "}");
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
