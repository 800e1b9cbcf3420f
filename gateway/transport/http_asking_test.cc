// Sessions and questions to the client over Streamable HTTP, and two gateways behind one address:
// each request of a client goes to the other one.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/secret/key_ring.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "gateway/mcp/session_token.h"
#include "gateway/testing/asking_server.h"
#include "gateway/testing/http_exchange.h"
#include "gateway/testing/http_test_client.h"
#include "gateway/transport/http_transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::unique_ptr<HttpTransport> StartTransport(const McpServer& server) {
  auto transport = HttpTransport::Start(server, {});
  EXPECT_OK(transport);
  return *std::move(transport);
}

TEST(SessionTokenTest, KeepsWhatWasAgreedOnForAWeek) {
  auto sealer = TextSealer::OfNewKey();
  ASSERT_OK(sealer);
  const SessionToken token = NewSessionToken({.version = "2025-06-18",
                                              .client = {.roots = true, .elicitation_url = true},
                                              .log_level = LogLevel::kError});
  const absl::Time now = absl::Now();
  const auto sealed = SealSessionToken(token, *sealer, "a", now);
  ASSERT_OK(sealed);
  const auto opened = OpenSessionToken(*sealed, *sealer, "a", now + absl::Hours(24 * 7 - 1));
  ASSERT_OK(opened);
  EXPECT_EQ(opened->id, token.id);
  EXPECT_EQ(opened->negotiated, token.negotiated);
  EXPECT_THAT(OpenSessionToken(*sealed, *sealer, "a", now + absl::Hours(24 * 7 + 1)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("expired")));
  EXPECT_THAT(OpenSessionToken(*sealed, *sealer, "b", now),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("initialize")));
  auto other = TextSealer::OfNewKey();
  ASSERT_OK(other);
  EXPECT_THAT(OpenSessionToken(*sealed, *other, "a", now),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("initialize")));
}

class HttpAskingTest : public testing::Test {
 protected:
  AskingServer asking_;
  std::unique_ptr<HttpTransport> transport_ = StartTransport(asking_.server());
  HttpTestClient client_{{transport_->port()}};
};

TEST_F(HttpAskingTest, TheServerAsksOnTheStreamOfTheRequest) {
  client_.Initialize("2025-11-25", {{"elicitation", json::object()}});
  const std::string body = Request(7, "tools/call", {{"name", "greet"}});
  RawClient caller(transport_->port());
  caller.Send(HttpHead("POST /mcp", client_.Headers(), body.size()) + body);
  const std::string head = caller.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("text/event-stream"));
  caller.ReadUntil("data: ");
  const json asked = json::parse(caller.ReadUntil("\n"));
  EXPECT_EQ(asked["method"], "elicitation/create");
  EXPECT_EQ(client_
                .Post(json({{"jsonrpc", "2.0"},
                            {"id", asked["id"]},
                            {"result", {{"action", "accept"}, {"content", {{"name", "Ada"}}}}}})
                          .dump())
                .status,
            202);
  caller.ReadUntil("data: ");
  EXPECT_EQ(json::parse(caller.ReadUntil("\n"))["result"]["content"][0]["text"], "hello Ada");
}

TEST_F(HttpAskingTest, WithoutASessionNobodyIsAsked) {
  const json answer = client_.Ask("tools/call", {{"name", "greet"}});
  EXPECT_EQ(answer["result"]["isError"], true);
}

TEST_F(HttpAskingTest, ALogLevelIsAgreedOnWithANewId) {
  client_.Initialize();
  const std::string before = client_.session_id();
  EXPECT_EQ(client_.Ask("logging/setLevel", {{"level", "error"}})["result"], json::object());
  EXPECT_NE(client_.session_id(), before);
  const std::string talk = Request(5, "tools/call", {{"name", "talk"}});
  EXPECT_EQ(client_.Post(talk).Json()["result"]["content"][0]["text"], "done");
  client_.set_session_id(before);  // of the level that holds without a word
  const std::vector<json> events = client_.Post(talk).Events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0]["params"]["data"], "loud");
  EXPECT_EQ(events[1]["result"]["content"][0]["text"], "done");
}

// Two gateways with one key, as behind one address that sends each request to the other one.
class ReplicasTest : public testing::Test {
 protected:
  ReplicasTest() {
    auto keys = KeyRing::OfNewKey();
    EXPECT_OK(keys);
    for (int i = 0; i < 2; ++i) {
      asking_.push_back(std::make_unique<AskingServer>(TextSealer(*keys, /*is_shared=*/true)));
      transports_.push_back(StartTransport(asking_.back()->server()));
    }
  }
  HttpTestClient NewClient() {
    return HttpTestClient({transports_[0]->port(), transports_[1]->port()});
  }

  std::vector<std::unique_ptr<AskingServer>> asking_;
  std::vector<std::unique_ptr<HttpTransport>> transports_;
};

TEST_F(ReplicasTest, ServeEachOthersSessions) {
  for (const char* version : {"2025-03-26", "2025-06-18", "2025-11-25"}) {
    HttpTestClient client = NewClient();
    client.Initialize(version);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(client.Ask("ping")["result"], json::object());
      EXPECT_EQ(client.Ask("tools/list")["result"]["tools"].size(), 4U);
    }
  }
}

TEST_F(ReplicasTest, KeepALogLevelThatTheOtherOneWasTold) {
  HttpTestClient client = NewClient();
  client.Initialize();
  client.Ask("logging/setLevel", {{"level", "error"}});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client.Ask("tools/call", {{"name", "talk"}})["result"]["content"][0]["text"], "done");
  }
}

TEST_F(ReplicasTest, PromiseNothingThatOneAloneCouldKeep) {
  HttpTestClient client = NewClient();
  const HttpAnswer answer =
      client.Post(InitializeBody("2025-11-25", {{"elicitation", json::object()}}));
  EXPECT_FALSE(answer.Json()["result"]["capabilities"]["resources"].contains("subscribe"));
  EXPECT_EQ(client.Ask("resources/subscribe", {{"uri", "test://greeting"}})["error"]["code"],
            -32601);
  EXPECT_EQ(client.Ask("tools/call", {{"name", "greet"}})["result"]["isError"], true);
  EXPECT_EQ(ExchangeHttp(client.NextPort(), "GET /mcp", client.Headers(), "").status, 405);
}

TEST_F(ReplicasTest, GoOnWithAStatelessRequestThatTheOtherOneBegan) {
  HttpTestClient client = NewClient();
  const json meta = {
      {"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
      {"io.modelcontextprotocol/clientCapabilities", {{"elicitation", json::object()}}}};
  const std::string headers =
      "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: greet\r\n";
  json params = {
      {"name", "greet"},
      {"arguments", {{"formal", true}}},
      {"_meta", meta},
      {"inputResponses", {{"name", {{"action", "accept"}, {"content", {{"name", "Ada"}}}}}}}};
  const json first = client.Post(Request(1, "tools/call", params), headers).Json()["result"];
  EXPECT_EQ(first["resultType"], "input_required");
  params["requestState"] = first["requestState"];
  params["inputResponses"] = {
      {"title", {{"action", "accept"}, {"content", {{"title", "Countess"}}}}}};
  const json second = client.Post(Request(2, "tools/call", params), headers).Json()["result"];
  EXPECT_EQ(second["content"][0]["text"], "hello Countess Ada");
}

}  // namespace
}  // namespace contree::gateway
