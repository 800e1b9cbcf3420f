#include "gateway/jsonrpc/message.h"

#include <nlohmann/json.hpp>

#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

int CodeOf(const ParsedMessage& parsed) { return JsonRpcCode(parsed.message.status()); }

TEST(ParseMessageTest, ARequestHasAnIdAMethodAndParams) {
  const ParsedMessage parsed =
      ParseMessage(R"({"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"run"}})");
  ASSERT_OK(parsed.message);
  EXPECT_EQ(parsed.message->kind(), Message::Kind::kRequest);
  EXPECT_EQ(parsed.id, RequestId{"7"});
  EXPECT_EQ(parsed.message->method(), "tools/call");
  EXPECT_EQ(parsed.message->params(), json({{"name", "run"}}));
}

TEST(ParseMessageTest, IdsComeBackExactlyAsTheyCame) {
  for (const std::string id : {"0", "-1", "9007199254740993", "18446744073709551615", R"("")",
                               R"("7")", R"("a\"b")", R"("ü")"}) {
    const ParsedMessage parsed =
        ParseMessage(R"({"jsonrpc":"2.0","method":"ping","id":)" + id + "}");
    ASSERT_OK(parsed.message) << id;
    EXPECT_EQ(SerializeResult(*parsed.id, "{}"),
              R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":{}})");
  }
}

TEST(ParseMessageTest, OtherIdsAreInvalidRequests) {
  for (const std::string id : {"null", "1.5", "1e3", "true", "[]", "{}"}) {
    const ParsedMessage parsed =
        ParseMessage(R"({"jsonrpc":"2.0","method":"ping","id":)" + id + "}");
    EXPECT_EQ(CodeOf(parsed), kInvalidRequestCode) << id;
    EXPECT_FALSE(parsed.id.has_value()) << id;
  }
}

TEST(ParseMessageTest, WithoutAnIdItIsANotification) {
  const ParsedMessage parsed =
      ParseMessage(R"({"jsonrpc":"2.0","method":"notifications/initialized"})");
  ASSERT_OK(parsed.message);
  EXPECT_EQ(parsed.message->kind(), Message::Kind::kNotification);
  EXPECT_EQ(parsed.message->params(), json::object());
}

TEST(ParseMessageTest, WithoutAMethodItIsAResponse) {
  for (const std::string text : {R"({"jsonrpc":"2.0","id":1,"result":{}})",
                                 R"({"jsonrpc":"2.0","id":null,"error":{"code":-32600}})"}) {
    const ParsedMessage parsed = ParseMessage(text);
    ASSERT_OK(parsed.message) << text;
    EXPECT_EQ(parsed.message->kind(), Message::Kind::kResponse) << text;
  }
}

TEST(ParseMessageTest, WhatIsNoJsonIsAParseError) {
  for (const std::string text : {"", "{", "nonsense", R"({"jsonrpc":"2.0","id":1,})", "{} {}",
                                 "{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", "]]]", "\"\\"}) {
    EXPECT_EQ(CodeOf(ParseMessage(text)), kParseErrorCode) << text;
  }
}

TEST(ParseMessageTest, WhatIsNoMessageIsAnInvalidRequest) {
  for (const std::string text :
       {"1", "null", "\"x\"", "{}", R"({"id":1,"method":"ping"})",
        R"({"jsonrpc":"1.0","id":1,"method":"ping"})", R"({"jsonrpc":"2.0","id":1})",
        R"({"jsonrpc":"2.0","id":1,"method":5})",
        R"({"jsonrpc":"2.0","id":1,"method":"ping","params":[]})"}) {
    EXPECT_EQ(CodeOf(ParseMessage(text)), kInvalidRequestCode) << text;
  }
}

TEST(ParseMessageTest, AnInvalidRequestKeepsItsId) {
  EXPECT_EQ(ParseMessage(R"({"jsonrpc":"2.0","id":"a","method":5})").id, RequestId{"\"a\""});
}

TEST(ParseMessageTest, BatchesAreRefused) {
  const ParsedMessage parsed = ParseMessage(R"([{"jsonrpc":"2.0","id":1,"method":"ping"}])");
  EXPECT_EQ(CodeOf(parsed), kInvalidRequestCode);
  EXPECT_THAT(parsed.message.status().message(), HasSubstr("one message at a time"));
}

TEST(ParseMessageTest, NullParamsAreNone) {
  const ParsedMessage parsed =
      ParseMessage(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":null})");
  ASSERT_OK(parsed.message);
  EXPECT_EQ(parsed.message->params(), json::object());
}

TEST(ParseMessageTest, SizeDepthAndElementsAreBounded) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_EQ(CodeOf(ParseMessage(deep)), kParseErrorCode);
  // Brackets inside a string are no nesting.
  EXPECT_OK(ParseMessage(R"({"jsonrpc":"2.0","id":1,"method":")" + std::string(100, '[') + "\"}")
                .message);
  EXPECT_EQ(CodeOf(ParseMessage("[1,2,3]", {.max_elements = 1})), kParseErrorCode);
  EXPECT_EQ(CodeOf(ParseMessage("{\"aaaaaaa\":1}", {.max_bytes = 8})), kInvalidRequestCode);
}

TEST(SerializeTest, AnErrorHasItsCodeAndAnIdOrNull) {
  EXPECT_EQ(
      SerializeError(RequestId{"1"}, MethodNotFound("x/y")),
      R"({"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found: x/y"}})");
  EXPECT_EQ(json::parse(SerializeError(std::nullopt, absl::InternalError("a\nb")))["error"],
            json({{"code", -32603}, {"message", "a\nb"}}));
  EXPECT_TRUE(json::parse(SerializeError(std::nullopt, InvalidRequest("x")))["id"].is_null());
}

TEST(SerializeTest, TextIsOneLineOfUtf8WhateverComesIn) {
  EXPECT_EQ(ToJsonString("a\n\xff"), "\"a\\n\xef\xbf\xbd\"");
  EXPECT_EQ(SerializeNotification("notifications/progress", "{}"),
            R"({"jsonrpc":"2.0","method":"notifications/progress","params":{}})");
}

}  // namespace
}  // namespace contree::gateway
