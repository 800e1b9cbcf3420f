#ifndef GATEWAY_JSONRPC_MESSAGE_H_
#define GATEWAY_JSONRPC_MESSAGE_H_

// JSON-RPC 2.0 messages as MCP uses them: ids that are strings or integers, params that are
// objects. Batches are read by a function of their own, for only one revision has them.
//
// Results travel as finished JSON text, so that what a tool made is serialised once. The functions
// are thread-safe; the types are values.

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/text/json_text.h"

namespace contree::gateway {

// An id as its JSON text ("7", "\"a\""), which is also how it goes back: exactly as it came.
struct RequestId {
  std::string json;

  friend bool operator==(const RequestId&, const RequestId&) = default;
};

class Message {
 public:
  enum class Kind { kRequest, kNotification, kResponse };

  Message(Kind kind, std::string method, nlohmann::json params);
  Message(Message&&) noexcept;
  Message& operator=(Message&&) noexcept;
  ~Message();

  Kind kind() const { return kind_; }
  // Empty for a response.
  const std::string& method() const { return method_; }
  // Always an object; empty where the message has none. Of a response: its "result" or "error".
  const nlohmann::json& params() const { return *params_; }
  nlohmann::json& params() { return *params_; }

 private:
  Kind kind_;
  std::string method_;
  std::unique_ptr<nlohmann::json> params_;
};

struct ParseLimits {
  size_t max_bytes = 16 * 1024 * 1024;
  // Of arrays and objects inside each other. Serialising is recursive: this bounds its stack.
  int max_depth = 64;
  // Elements of arrays and members of objects in all: small ones take some 50 times their text.
  size_t max_elements = 500'000;
  size_t max_batch = 64;  // messages in a batch
};

struct ParsedMessage {
  // Of a request, and of an unusable one as far as it could be read.
  std::optional<RequestId> id;
  // ParseError or InvalidRequest (see error.h).
  absl::StatusOr<Message> message;
};

// A batch is an InvalidRequest here.
ParsedMessage ParseMessage(absl::string_view text, const ParseLimits& limits = {});

// Whether the text can only be a batch: an array.
bool IsBatch(absl::string_view text);
// The messages of a batch in their order, each as ParseMessage gives it. ParseError or
// InvalidRequest (see error.h): none of it can be used; also where it is empty or has more than
// limits.max_batch messages.
absl::StatusOr<std::vector<ParsedMessage>> ParseBatch(absl::string_view text,
                                                      const ParseLimits& limits = {});

// The id in the form that ParseMessage gives it; nullopt: neither a string nor an integer.
std::optional<RequestId> ReadRequestId(const nlohmann::json& value);

// {"jsonrpc":"2.0","id":…,"method":…,"params":…}: what the server asks its client.
std::string SerializeRequest(const RequestId& id, absl::string_view method,
                             absl::string_view params_json);

// {"jsonrpc":"2.0","id":…,"result":…}; result_json is a JSON value.
std::string SerializeResult(const RequestId& id, absl::string_view result_json);

// {"jsonrpc":"2.0","id":…,"error":{…}}; without an id: null.
std::string SerializeError(const std::optional<RequestId>& id, const absl::Status& error);

// {"jsonrpc":"2.0","method":…,"params":…}
std::string SerializeNotification(absl::string_view method, absl::string_view params_json);

}  // namespace contree::gateway

#endif  // GATEWAY_JSONRPC_MESSAGE_H_
