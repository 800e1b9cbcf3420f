#include "gateway/transport/request_headers.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

Message Request(const std::string& method, json params = json::object()) {
  return Message(Message::Kind::kRequest, method, std::move(params));
}

int Code(const Message& request, const RequestHeaders& headers) {
  const absl::Status status = CheckRequestHeaders(request, headers);
  return status.ok() ? 0 : JsonRpcCode(status);
}

TEST(RequestHeadersTest, TheMethodIsCompared) {
  EXPECT_EQ(Code(Request("tools/list"), {.method = "tools/list"}), 0);
  EXPECT_EQ(Code(Request("tools/list"), {}), kHeaderMismatchCode);
  EXPECT_EQ(Code(Request("tools/list"), {.method = "tools/call"}), kHeaderMismatchCode);
  EXPECT_EQ(Code(Request("tools/list"), {.method = "Tools/List"}), kHeaderMismatchCode);
}

TEST(RequestHeadersTest, TheNameIsComparedWhereTheMethodHasOne) {
  const struct {
    const char* method;
    const char* member;
  } named[] = {{"tools/call", "name"}, {"prompts/get", "name"}, {"resources/read", "uri"}};
  for (const auto& [method, member] : named) {
    const Message request = Request(method, {{member, "a b"}});
    EXPECT_EQ(Code(request, {.method = method, .name = "a b"}), 0) << method;
    EXPECT_EQ(Code(request, {.method = method, .name = "a"}), kHeaderMismatchCode) << method;
    EXPECT_EQ(Code(request, {.method = method}), kHeaderMismatchCode) << method;
    EXPECT_EQ(Code(Request(method), {.method = method, .name = "a"}), kHeaderMismatchCode);
    // What is wrong here is the request.
    EXPECT_EQ(Code(Request(method), {.method = method}), 0);
  }
  EXPECT_EQ(Code(Request("tools/list"), {.method = "tools/list", .name = "x"}), 0);
}

TEST(RequestHeadersTest, ANameInBase64IsDecoded) {
  const auto code = [](const char* name, const char* header) {
    return Code(Request("tools/call", {{"name", name}}), {.method = "tools/call", .name = header});
  };
  EXPECT_EQ(code("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="), 0);
  EXPECT_EQ(code("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="), 0);
  EXPECT_EQ(code("x", "=?base64?!!?="), kHeaderMismatchCode);
  EXPECT_EQ(code("Hello, 世界", "Hello, 世界"), kHeaderMismatchCode);  // no text of a header
  EXPECT_EQ(code("hello", "=?BASE64?aGVsbG8=?="), kHeaderMismatchCode);
}

}  // namespace
}  // namespace contree::gateway
