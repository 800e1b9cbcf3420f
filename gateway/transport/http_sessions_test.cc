// The earlier era over Streamable HTTP: session ids, what goes on between the requests of a
// session, batches.

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"
#include "gateway/testing/http_exchange.h"
#include "gateway/testing/http_test_client.h"
#include "gateway/transport/http_transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kGuide[] = "contree://guide/quickstart";

std::unique_ptr<HttpTransport> StartTransport(const McpServer& server) {
  auto transport = HttpTransport::Start(server, {});
  EXPECT_OK(transport);
  return *std::move(transport);
}

class HttpSessionsTest : public testing::Test {
 protected:
  FakeBackend backend_;
  std::unique_ptr<HttpTransport> transport_ = StartTransport(backend_.server());
  HttpTestClient client_{{transport_->port()}};
};

TEST_F(HttpSessionsTest, InitializeGivesAnIdOfVisibleAscii) {
  client_.Initialize();
  for (const char c : client_.session_id()) EXPECT_TRUE(c >= 0x21 && c <= 0x7e) << int{c};
  EXPECT_EQ(client_.Ask("ping")["result"], json::object());
}

TEST_F(HttpSessionsTest, AnIdThatIsNoneIsNotFoundAndNoneIsFine) {
  client_.Initialize();
  const std::string id = client_.session_id();
  for (const std::string& wrong :
       {std::string("x"), id.substr(1), id + "A", (id[0] == 'A' ? "B" : "A") + id.substr(1)}) {
    client_.set_session_id(wrong);
    const HttpAnswer answer = client_.Post(Request(1, "ping", json::object()));
    EXPECT_EQ(answer.status, 404) << wrong;
    EXPECT_THAT(answer.body, HasSubstr("send initialize again"));
  }
  client_.set_session_id("");
  EXPECT_EQ(client_.Ask("ping")["result"], json::object());
  client_.set_session_id("x");
  EXPECT_EQ(client_.Post(InitializeBody("2025-06-18", json::object())).status, 200);
}

TEST_F(HttpSessionsTest, ASessionNeedsNoEnd) {
  client_.Initialize();
  const HttpAnswer answer = ExchangeHttp(transport_->port(), "DELETE /mcp", client_.Headers(), "");
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.Header("Allow"), "POST");
  EXPECT_EQ(client_.Ask("ping")["result"], json::object());
}

TEST_F(HttpSessionsTest, ACancellationFindsTheRequestOfItsSession) {
  backend_.service().HoldOperations();
  client_.Initialize();
  const std::string body = Request(
      70, "tools/call",
      {{"name", "run"}, {"arguments", {{"command", "sleep 9"}, {"image", "tag:busybox:latest"}}}});
  RawClient runner(transport_->port());
  runner.Send(HttpHead("POST /mcp", client_.Headers(), body.size()) + body);
  backend_.service().WaitForWatches(1);
  const std::string cancel =
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":70}})";
  // Another session has no such request.
  HttpTestClient stranger({transport_->port()});
  stranger.Initialize();
  EXPECT_EQ(stranger.Post(cancel).status, 202);
  EXPECT_EQ(client_.Post(cancel).status, 202);
  backend_.service().WaitForCancellations(1);
  EXPECT_THAT(runner.ReadAll(), HasSubstr("200 OK"));
  EXPECT_THAT(backend_.service().calls().cancelled, testing::ElementsAre("op-1"));
}

TEST_F(HttpSessionsTest, BatchesArePartOfOneRevision) {
  const std::string batch =
      absl::StrCat("[", Request(1, "ping", json::object()), ",",
                   R"({"jsonrpc":"2.0","method":"notifications/initialized"},)",
                   Request("two", "tools/call", {{"name", "list_images"}}), ",",
                   Request(3, "no/such", json::object()), ",",
                   Request(4, "initialize", {{"protocolVersion", "2025-03-26"}}), ",5]");
  const auto check = [](const HttpAnswer& answer) {
    EXPECT_EQ(answer.status, 200);
    std::map<std::string, json> by_id;
    for (const json& message : answer.Json()) by_id[message["id"].dump()] = message;
    EXPECT_EQ(by_id.size(), 5U) << answer.body;
    EXPECT_EQ(by_id["1"]["result"], json::object());
    EXPECT_EQ(by_id["\"two\""]["result"]["isError"], false);
    EXPECT_EQ(by_id["3"]["error"]["code"], -32601);
    EXPECT_EQ(by_id["4"]["error"]["code"], -32600);
    EXPECT_EQ(by_id["null"]["error"]["code"], -32600);
  };
  // Without a session and a header a client is of that revision.
  check(ExchangeHttp(transport_->port(), "POST /mcp", "", batch));
  client_.Initialize("2025-03-26");
  check(client_.Post(batch));
  EXPECT_EQ(client_.Post(R"([{"jsonrpc":"2.0","method":"notifications/x"}])").status, 202);
  EXPECT_EQ(client_.Post("[]").status, 400);
  EXPECT_EQ(client_.Post("[1").status, 400);
  HttpTestClient later({transport_->port()});
  later.Initialize("2025-06-18");
  EXPECT_EQ(later.Post(batch).status, 400);
}

TEST_F(HttpSessionsTest, SubscriptionsAreHeardOnTheStreamOfTheSession) {
  backend_.service().AddOperation("op-9");
  client_.Initialize();
  const json uri = {{"uri", "contree://operations/instance/op-9"}};
  EXPECT_EQ(client_.Ask("resources/subscribe", {{"uri", "contree://no/such"}})["error"]["code"],
            -32002);
  EXPECT_EQ(client_.Ask("resources/subscribe")["error"]["code"], -32602);
  EXPECT_EQ(client_.Ask("resources/subscribe", uri)["result"], json::object());
  EXPECT_EQ(client_.Ask("resources/subscribe", {{"uri", kGuide}})["result"], json::object());
  backend_.service().WaitForWatches(1);
  RawClient stream(transport_->port());
  stream.Send(HttpHead("GET /mcp", client_.Headers(), 0));
  stream.ReadUntil(": open\n\n\r\n");
  contree::v1::OperationEvent event;
  event.mutable_state_changed()->set_state(contree::v1::OPERATION_STATE_EXECUTING);
  backend_.service().Emit("op-9", event);
  const std::string heard = stream.ReadUntil("}\n\n\r\n");
  EXPECT_THAT(heard, HasSubstr(R"("method":"notifications/resources/updated")"));
  EXPECT_THAT(heard, HasSubstr(R"("uri":"contree://operations/instance/op-9")"));
  EXPECT_EQ(client_.Ask("resources/unsubscribe", uri)["result"], json::object());
}

TEST_F(HttpSessionsTest, TheStreamNeedsASession) {
  EXPECT_EQ(ExchangeHttp(transport_->port(), "GET /mcp", "", "").status, 405);
  EXPECT_EQ(ExchangeHttp(transport_->port(), "GET /mcp", "Mcp-Session-Id: x\r\n", "").status, 404);
  client_.Initialize();
  EXPECT_EQ(ExchangeHttp(transport_->port(), "GET /mcp",
                         client_.Headers() + "Accept: application/json\r\n", "")
                .status,
            406);
}

TEST_F(HttpSessionsTest, AStopEndsTheStream) {
  client_.Initialize();
  RawClient stream(transport_->port());
  stream.Send(HttpHead("GET /mcp", client_.Headers(), 0));
  stream.ReadUntil("\r\n\r\n");
  transport_->Stop();
  stream.ReadAll();
}

}  // namespace
}  // namespace contree::gateway
