// subscriptions/listen of revision 2026-07-28, over HTTP and stdio.

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"
#include "gateway/testing/http_exchange.h"
#include "gateway/transport/http_transport.h"
#include "gateway/transport/line_io.h"
#include "gateway/transport/stdio_transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

constexpr char kHeaders[] =
    "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n";
constexpr char kOperation[] = "contree://operations/instance/op-9";
constexpr char kIdKey[] = "io.modelcontextprotocol/subscriptionId";

std::string ListenBody(const json& id, const json& filter) {
  return json({{"jsonrpc", "2.0"},
               {"id", id},
               {"method", "subscriptions/listen"},
               {"params",
                {{"notifications", filter},
                 {"_meta",
                  {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                   {"io.modelcontextprotocol/clientCapabilities", json::object()}}}}}})
      .dump();
}

void ChangeState(FakeBackend& backend) {
  contree::v1::OperationEvent event;
  event.mutable_state_changed()->set_state(contree::v1::OPERATION_STATE_EXECUTING);
  backend.service().Emit("op-9", event);
}

void CheckAcknowledgement(const json& message, const json& id, const json& filter) {
  EXPECT_EQ(message["method"], "notifications/subscriptions/acknowledged");
  EXPECT_EQ(message["params"]["_meta"][kIdKey], id);
  EXPECT_EQ(message["params"]["notifications"], filter);
}

void CheckUpdate(const json& message, const json& id) {
  EXPECT_EQ(message["method"], "notifications/resources/updated");
  EXPECT_EQ(message["params"]["_meta"][kIdKey], id);
  EXPECT_EQ(message["params"]["uri"], kOperation);
}

void CheckEnd(const json& message, const json& id) {
  EXPECT_EQ(message["id"], id);
  EXPECT_EQ(message["result"]["resultType"], "complete");
  EXPECT_EQ(message["result"]["_meta"][kIdKey], id);
}

class HttpListenTest : public testing::Test {
 protected:
  HttpListenTest() {
    backend_.service().AddOperation("op-9");
    auto transport = HttpTransport::Start(backend_.server(), {.max_connections = 10});
    EXPECT_OK(transport);
    transport_ = *std::move(transport);
  }
  std::unique_ptr<RawClient> Listen(const json& id, const json& filter) {
    auto client = std::make_unique<RawClient>(transport_->port());
    const std::string body = ListenBody(id, filter);
    client->Send(HttpHead("POST /mcp", kHeaders, body.size()) + body);
    return client;
  }
  static json NextEvent(RawClient& client) {
    client.ReadUntil("data: ");
    return json::parse(client.ReadUntil("\n"), nullptr, false);
  }

  FakeBackend backend_;
  std::unique_ptr<HttpTransport> transport_;
};

TEST_F(HttpListenTest, TheAcknowledgementComesFirstAndSaysWhatIsHeard) {
  const auto client = Listen("s-1", {{"toolsListChanged", true},
                                     {"promptsListChanged", true},
                                     {"resourceSubscriptions", {kOperation, "contree://no/such"}}});
  CheckAcknowledgement(NextEvent(*client), "s-1", {{"resourceSubscriptions", {kOperation}}});
  backend_.service().WaitForWatches(1);
  ChangeState(backend_);
  CheckUpdate(NextEvent(*client), "s-1");
  backend_.service().Complete("op-9", {});
  CheckUpdate(NextEvent(*client), "s-1");
}

TEST_F(HttpListenTest, NothingThatWasNotAskedForIsHeard) {
  const auto client = Listen(1, json::object());
  CheckAcknowledgement(NextEvent(*client), 1, json::object());
  ChangeState(backend_);
  transport_->Stop();
  CheckEnd(NextEvent(*client), 1);
}

TEST_F(HttpListenTest, AStopEndsItWithAResult) {
  const auto client = Listen(1, {{"resourceSubscriptions", {kOperation}}});
  NextEvent(*client);
  transport_->Stop();
  CheckEnd(NextEvent(*client), 1);
  EXPECT_THAT(client->ReadAll(), testing::EndsWith("0\r\n\r\n"));
}

TEST_F(HttpListenTest, SubscriptionsTakeNoConnectionsFromOthers) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(Listen(i, {{"resourceSubscriptions", {kOperation}}}));
    CheckAcknowledgement(NextEvent(*clients.back()), i, {{"resourceSubscriptions", {kOperation}}});
  }
  backend_.service().WaitForWatches(30);
  ChangeState(backend_);
  for (int i = 0; i < 30; ++i) CheckUpdate(NextEvent(*clients[static_cast<size_t>(i)]), i);
  clients.clear();  // and a stop does not wait for those that have left
  transport_->Stop();
}

TEST_F(HttpListenTest, AFilterThatIsNoneIsRefused) {
  for (const json& filter :
       {json(nullptr), json({{"toolsListChanged", 1}}), json({{"resourceSubscriptions", "x"}}),
        json({{"resourceSubscriptions", {5}}})}) {
    const HttpAnswer answer =
        ExchangeHttp(transport_->port(), "POST /mcp", kHeaders, ListenBody(1, filter));
    EXPECT_EQ(answer.status, 400) << filter;
    EXPECT_EQ(answer.Json()["error"]["code"], -32602) << filter;
  }
  EXPECT_EQ(ExchangeHttp(transport_->port(), "POST /mcp",
                         absl::StrCat(kHeaders, "Accept: application/json\r\n"),
                         ListenBody(1, json::object()))
                .status,
            406);
}

TEST(HttpListenLimitTest, NoMoreStreamsAreOpenThanMayBe) {
  FakeBackend backend;
  auto transport = HttpTransport::Start(backend.server(), {.max_streams = 1});
  ASSERT_OK(transport);
  const std::string body = ListenBody(1, json::object());
  RawClient first((*transport)->port());
  first.Send(HttpHead("POST /mcp", kHeaders, body.size()) + body);
  first.ReadUntil("\n\n");
  const HttpAnswer second = ExchangeHttp((*transport)->port(), "POST /mcp", kHeaders, body);
  EXPECT_EQ(second.status, 503);
  EXPECT_EQ(second.Header("Retry-After"), "5");
}

// A client at the other end of two pipes.
class StdioListenTest : public testing::Test {
 protected:
  StdioListenTest() {
    backend_.service().AddOperation("op-9");
    std::array<int, 2> input = {-1, -1};
    std::array<int, 2> output = {-1, -1};
    EXPECT_EQ(pipe2(input.data(), O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
    to_server_ = UniqueFd(input[1]);
    from_server_ = UniqueFd(output[0]);
    auto reader = LineReader::Create(from_server_.get(), 1 << 20);
    EXPECT_OK(reader);
    reader_.emplace(*std::move(reader));
    transport_ = std::jthread(
        [this, in = UniqueFd(input[0]), out = UniqueFd(output[1])](const std::stop_token& stop) {
          EXPECT_OK(RunStdioTransport(backend_.server(),
                                      {.input_fd = in.get(), .output_fd = out.get()}, stop));
        });
  }
  void Send(const std::string& line) {
    const std::string text = line + "\n";
    EXPECT_EQ(write(to_server_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  json Receive() {
    const auto line = reader_->Next(std::stop_token());
    return line.ok() && line->has_value() ? json::parse((*line)->begin(), (*line)->end()) : json();
  }

  FakeBackend backend_;
  UniqueFd to_server_;
  UniqueFd from_server_;
  std::optional<LineReader> reader_;
  std::jthread transport_;
};

TEST_F(StdioListenTest, SubscriptionsShareTheOutput) {
  Send(ListenBody("a", {{"resourceSubscriptions", {kOperation}}}));
  CheckAcknowledgement(Receive(), "a", {{"resourceSubscriptions", {kOperation}}});
  Send(ListenBody("b", json::object()));
  CheckAcknowledgement(Receive(), "b", json::object());
  Send(ListenBody("a", json::object()));  // the id is in use
  EXPECT_EQ(Receive()["error"]["code"], -32600);
  backend_.service().WaitForWatches(1);
  ChangeState(backend_);
  CheckUpdate(Receive(), "a");
}

TEST_F(StdioListenTest, ACancelledOneIsOverWithoutAWord) {
  Send(ListenBody(1, {{"resourceSubscriptions", {kOperation}}}));
  CheckAcknowledgement(Receive(), 1, {{"resourceSubscriptions", {kOperation}}});
  backend_.service().WaitForWatches(1);
  Send(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}})");
  Send(ListenBody(2, json::object()));
  CheckAcknowledgement(Receive(), 2, json::object());
  ChangeState(backend_);
  Send(R"({"jsonrpc":"2.0","id":3,"method":"ping"})");
  EXPECT_EQ(Receive()["id"], 3);
}

TEST_F(StdioListenTest, AStopEndsItWithAResult) {
  Send(ListenBody(1, json::object()));
  CheckAcknowledgement(Receive(), 1, json::object());
  transport_.request_stop();
  CheckEnd(Receive(), 1);
  EXPECT_TRUE(Receive().is_null());
}

TEST_F(StdioListenTest, TheEarlierEraSubscribesByUri) {
  Send(R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",)"
       R"("capabilities":{}}})");
  EXPECT_EQ(Receive()["result"]["capabilities"]["resources"], json({{"subscribe", true}}));
  const auto subscribe = [](int id, const char* method, const char* uri) {
    return json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", {{"uri", uri}}}})
        .dump();
  };
  Send(subscribe(2, "resources/subscribe", "contree://no/such"));
  EXPECT_EQ(Receive()["error"]["code"], -32002);
  Send(subscribe(3, "resources/subscribe", kOperation));
  EXPECT_EQ(Receive()["result"], json::object());
  backend_.service().WaitForWatches(1);
  ChangeState(backend_);
  const json update = Receive();
  EXPECT_EQ(update["params"], json({{"uri", kOperation}}));
  Send(subscribe(4, "resources/unsubscribe", kOperation));
  EXPECT_EQ(Receive()["result"], json::object());
  ChangeState(backend_);
  Send(R"({"jsonrpc":"2.0","id":5,"method":"ping"})");
  EXPECT_EQ(Receive()["id"], 5);
}

TEST_F(StdioListenTest, BatchesArePartOfOneRevision) {
  const std::string batch =
      R"([{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","id":3,"method":"ping"}])";
  Send(batch);
  EXPECT_EQ(Receive()["error"]["code"], -32600);
  Send(
      R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26"}})");
  Receive();
  Send(batch);
  EXPECT_EQ(Receive().size(), 2U);
  Send("[]");
  EXPECT_EQ(Receive()["error"]["code"], -32600);
}

}  // namespace
}  // namespace contree::gateway
