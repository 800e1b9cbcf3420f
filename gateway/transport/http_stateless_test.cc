// Revision 2026-07-28 over Streamable HTTP: headers, status codes, and what closing an answer
// means.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"
#include "gateway/testing/http_exchange.h"
#include "gateway/transport/http_transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kVersion[] = "MCP-Protocol-Version: 2026-07-28\r\n";

json Meta() {
  return {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
          {"io.modelcontextprotocol/clientCapabilities", json::object()}};
}

std::string Body(const std::string& method, json params = json::object()) {
  if (!params.contains("_meta")) params["_meta"] = Meta();
  return json({{"jsonrpc", "2.0"}, {"id", 7}, {"method", method}, {"params", params}}).dump();
}

std::string Headers(const std::string& method, const std::string& name = "") {
  return absl::StrCat(kVersion, "Mcp-Method: ", method, "\r\n",
                      name.empty() ? "" : absl::StrCat("Mcp-Name: ", name, "\r\n"));
}

json RunParams(bool with_progress) {
  json meta = Meta();
  if (with_progress) meta["progressToken"] = "t";
  return {{"name", "run"},
          {"arguments", {{"command", "sleep 9"}, {"image", "tag:busybox:latest"}}},
          {"_meta", meta}};
}

class HttpStatelessTest : public testing::Test {
 protected:
  HttpStatelessTest() {
    auto transport = HttpTransport::Start(backend_.server(), {});
    EXPECT_OK(transport);
    transport_ = *std::move(transport);
  }
  HttpAnswer Post(const std::string& headers, const std::string& body) {
    return ExchangeHttp(transport_->port(), "POST /mcp", headers, body);
  }
  // HTTP's status and JSON-RPC's code; the answer has to name the request.
  std::pair<int, int> Codes(const std::string& headers, const std::string& body) {
    const HttpAnswer answer = Post(headers, body);
    const json message = answer.Json();
    EXPECT_EQ(message["id"], 7) << answer.body;
    return {answer.status, message.contains("error") ? message["error"]["code"].get<int>() : 0};
  }

  FakeBackend backend_;
  std::unique_ptr<HttpTransport> transport_;
};

using CodePair = std::pair<int, int>;

TEST_F(HttpStatelessTest, ARequestIsAnswered) {
  const HttpAnswer answer =
      Post(Headers("tools/call", "get_guide"), Body("tools/call", {{"name", "get_guide"}}));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.Header("Content-Type"), "application/json");
  EXPECT_EQ(answer.Json()["result"]["resultType"], "complete");
  EXPECT_EQ(answer.Header("Mcp-Session-Id"), "");
}

TEST_F(HttpStatelessTest, HeadersHaveToSayWhatTheBodySays) {
  const std::string list = Body("tools/list");
  EXPECT_EQ(Codes(Headers("tools/list"), list), CodePair(200, 0));
  EXPECT_EQ(Codes("Mcp-Method: tools/list\r\n", list), CodePair(400, -32020));
  EXPECT_EQ(Codes(kVersion, list), CodePair(400, -32020));
  EXPECT_EQ(Codes(Headers("prompts/list"), list), CodePair(400, -32020));
  EXPECT_EQ(Codes("MCP-Protocol-Version: 2025-11-25\r\nMcp-Method: tools/list\r\n", list),
            CodePair(400, -32020));
  const std::string call = Body("tools/call", {{"name", "get_guide"}});
  EXPECT_EQ(Codes(Headers("tools/call"), call), CodePair(400, -32020));
  EXPECT_EQ(Codes(Headers("tools/call", "run"), call), CodePair(400, -32020));
  EXPECT_EQ(Codes(Headers("tools/call", "=?base64?Z2V0X2d1aWRl?="), call), CodePair(200, 0));
  // Names of headers have no case.
  EXPECT_EQ(Codes("mcp-protocol-version: 2026-07-28\r\nMCP-METHOD: tools/list\r\n", list),
            CodePair(200, 0));
}

TEST_F(HttpStatelessTest, AMetaThatLacksSomethingIsABadRequest) {
  for (const char* key :
       {"io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"}) {
    json meta = Meta();
    meta.erase(key);
    EXPECT_EQ(Codes(Headers("tools/list"), Body("tools/list", {{"_meta", meta}})),
              CodePair(400, -32602))
        << key;
  }
  EXPECT_EQ(Codes(Headers("tools/list"), Body("tools/list", {{"_meta", nullptr}})),
            CodePair(400, -32602));
}

TEST_F(HttpStatelessTest, AVersionThatIsNotSpokenIsABadRequest) {
  json meta = Meta();
  meta["io.modelcontextprotocol/protocolVersion"] = "v999.0.0";
  const std::string body = Body("tools/list", {{"_meta", meta}});
  EXPECT_EQ(Codes("MCP-Protocol-Version: v999.0.0\r\nMcp-Method: tools/list\r\n", body),
            CodePair(400, -32022));
  EXPECT_EQ(Codes(Headers("tools/list"), body), CodePair(400, -32020));
}

TEST_F(HttpStatelessTest, AMethodThatIsNotThereIsNotFound) {
  for (const char* method : {"initialize", "ping", "logging/setLevel", "resources/subscribe",
                             "resources/unsubscribe", "no/such"}) {
    EXPECT_EQ(Codes(Headers(method), Body(method)), CodePair(404, -32601)) << method;
  }
}

TEST_F(HttpStatelessTest, ErrorsOfTheMethodItselfAreAnswers) {
  EXPECT_EQ(Codes(Headers("tools/call", "nope"), Body("tools/call", {{"name", "nope"}})),
            CodePair(200, -32602));
  EXPECT_EQ(Codes(Headers("resources/read", "contree://x"),
                  Body("resources/read", {{"uri", "contree://x"}})),
            CodePair(200, -32602));
}

TEST_F(HttpStatelessTest, NotificationsAreAccepted) {
  const HttpAnswer answer =
      Post(kVersion, R"({"jsonrpc":"2.0","method":"notifications/anything","params":{}})");
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.body, "");
}

TEST_F(HttpStatelessTest, OnlyPostIsAllowed) {
  for (const char* method : {"GET", "DELETE"}) {
    const HttpAnswer answer =
        ExchangeHttp(transport_->port(), absl::StrCat(method, " /mcp"), kVersion, "");
    EXPECT_EQ(answer.status, 405) << method;
  }
}

TEST_F(HttpStatelessTest, SessionIdAndLastEventIdAreIgnored) {
  EXPECT_EQ(Codes(Headers("tools/list") + "Mcp-Session-Id: whatever\r\nLast-Event-ID: 4\r\n",
                  Body("tools/list")),
            CodePair(200, 0));
}

TEST_F(HttpStatelessTest, ClosingTheAnswerCancelsTheRequest) {
  backend_.service().HoldOperations();
  for (const bool with_progress : {true, false}) {
    const std::string body = Body("tools/call", RunParams(with_progress));
    RawClient client(transport_->port());
    client.Send(HttpHead("POST /mcp", Headers("tools/call", "run"), body.size()) + body);
    backend_.service().WaitForWatches(with_progress ? 1 : 2);
    client.Close();
    backend_.service().WaitForCancellations(with_progress ? 1 : 2);
  }
  EXPECT_THAT(backend_.service().calls().cancelled, testing::ElementsAre("op-1", "op-2"));
}

TEST_F(HttpStatelessTest, AStopOfTheServerCancelsNothing) {
  backend_.service().HoldOperations();
  const std::string body = Body("tools/call", RunParams(true));
  RawClient client(transport_->port());
  client.Send(HttpHead("POST /mcp", Headers("tools/call", "run"), body.size()) + body);
  backend_.service().WaitForWatches(1);
  transport_->Stop();
  EXPECT_TRUE(backend_.service().calls().cancelled.empty());
}

TEST_F(HttpStatelessTest, ACallThatWaitsReportsProgressAsEvents) {
  const HttpAnswer answer = Post(Headers("tools/call", "run"), Body("tools/call", RunParams(true)));
  EXPECT_EQ(answer.Header("Content-Type"), "text/event-stream");
  EXPECT_EQ(answer.Header("X-Accel-Buffering"), "no");
  const std::vector<json> events = answer.Events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0]["method"], "notifications/progress");
  EXPECT_EQ(events[1]["result"]["resultType"], "complete");
}

}  // namespace
}  // namespace contree::gateway
