#include "gateway/mcp/session.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gateway/testing/fake_backend.h"
#include "gateway/tools/tool_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// What a client sends and gets, without a transport.
class Client {
 public:
  explicit Client(const McpServer& server)
      : session_(server, [this](const std::string& message) {
          notifications_.push_back(json::parse(message));
        }) {}

  Session& session() { return session_; }
  const std::vector<json>& notifications() const { return notifications_; }

  // Runs the message to its end; null: no answer.
  json Ask(const std::string& text) {
    Session::Accepted accepted = session_.Accept(text);
    if (accepted.call != nullptr) {
      if (std::optional<Answer> answer = accepted.call->Run()) accepted.answer = answer->json;
    }
    return accepted.answer.has_value() ? json::parse(*accepted.answer) : json();
  }
  json Request(const std::string& method, const json& params = json::object()) {
    return Ask(
        json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}).dump());
  }

 private:
  std::vector<json> notifications_;
  Session session_;
};

constexpr char kRun[] =
    R"({"jsonrpc":"2.0","id":"r","method":"tools/call","params":{"name":"run","arguments":)"
    R"({"command":"sleep 9","image":"tag:busybox:latest"},"_meta":{"progressToken":7}}})";
constexpr char kCancel[] =
    R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"r"}})";

TEST(McpServerTest, InitializeAnswersTheSameVersionWhereItIsKnown) {
  FakeBackend backend;
  Client client(backend.server());
  for (const char* version : {"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"}) {
    EXPECT_EQ(client.Request("initialize", {{"protocolVersion", version},
                                            {"capabilities", {}}})["result"]["protocolVersion"],
              version);
  }
  for (const char* version : {"1999-01-01", "2026-07-28", ""}) {
    EXPECT_EQ(
        client.Request("initialize", {{"protocolVersion", version}})["result"]["protocolVersion"],
        "2025-11-25");
  }
}

TEST(McpServerTest, InitializeSaysWhoItIsAndWhatItCan) {
  FakeBackend backend;
  Client client(backend.server());
  const json result = client.Request("initialize", {{"protocolVersion", "2025-06-18"}})["result"];
  EXPECT_EQ(result["capabilities"], json({{"tools", json::object()},
                                          {"logging", json::object()},
                                          {"resources", {{"subscribe", true}}},
                                          {"prompts", json::object()},
                                          {"completions", json::object()}}));
  EXPECT_EQ(result["serverInfo"]["name"], "contree-mcp");
  EXPECT_FALSE(result["serverInfo"]["version"].get<std::string>().empty());
  // What the instructions teach has to exist.
  const std::string instructions = result["instructions"];
  EXPECT_THAT(instructions, HasSubstr("CHECK"));
  for (size_t at = instructions.find('`'); at != std::string::npos;) {
    const size_t end = instructions.find('`', at + 1);
    const std::string name = instructions.substr(at + 1, end - at - 1);
    if (name.find('_') != std::string::npos && name.find('/') == std::string::npos &&
        name != "tag_prefix" && name != "result_image" && name != "filesystem_changed" &&
        name != "exit_code" && name != "timed_out" && name != "directory_state_id") {
      EXPECT_NE(backend.tools().Find(name), nullptr) << name;
    }
    at = instructions.find('`', end + 1);
  }
}

TEST(McpServerTest, InitializeNeedsAVersion) {
  FakeBackend backend;
  Client client(backend.server());
  EXPECT_EQ(client.Request("initialize")["error"]["code"], -32602);
  EXPECT_EQ(client.Request("initialize", {{"protocolVersion", 5}})["error"]["code"], -32602);
}

TEST(McpServerTest, PingAnswersAndUnknownMethodsDoNotExist) {
  FakeBackend backend;
  Client client(backend.server());
  EXPECT_EQ(client.Request("ping")["result"], json::object());
  for (const char* method : {"tools/remove", "resources/remove", "notifications/x", ""}) {
    EXPECT_EQ(client.Request(method)["error"]["code"], -32601) << method;
  }
}

TEST(McpServerTest, ToolsListHasOnePage) {
  FakeBackend backend;
  Client client(backend.server());
  const json result = client.Request("tools/list")["result"];
  EXPECT_EQ(result["tools"].size(), ToolTable().size());
  EXPECT_EQ(result["tools"][0]["name"], "run");
  EXPECT_FALSE(result.contains("nextCursor"));
  EXPECT_EQ(client.Request("tools/list", {{"cursor", "x"}})["error"]["code"], -32602);
}

TEST(McpServerTest, ToolsCallTellsProtocolErrorsFromErrorsOfATool) {
  FakeBackend backend;
  Client client(backend.server());
  EXPECT_EQ(client.Request("tools/call", {{"name", "nope"}})["error"]["code"], -32602);
  EXPECT_EQ(client.Request("tools/call", {{"name", 5}})["error"]["code"], -32602);
  EXPECT_EQ(client.Request("tools/call")["error"]["code"], -32602);
  EXPECT_EQ(client.Request("tools/call", {{"name", "get_image"}})["result"]["isError"], true);
  // Arguments may be left out.
  EXPECT_EQ(client.Request("tools/call", {{"name", "list_images"}})["result"]["isError"], false);
  EXPECT_EQ(client.Request("tools/call",
                           {{"name", "list_images"}, {"arguments", nullptr}})["result"]["isError"],
            false);
}

TEST(SessionTest, NotificationsAndResponsesGetNoAnswer) {
  FakeBackend backend;
  Client client(backend.server());
  for (const char* text :
       {R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
        R"({"jsonrpc":"2.0","method":"notifications/unheard_of"})",
        R"({"jsonrpc":"2.0","method":"tools/list"})", R"({"jsonrpc":"2.0","id":1,"result":{}})",
        R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}})",
        R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}})",
        R"({"jsonrpc":"2.0","method":"notifications/cancelled"})"}) {
    EXPECT_TRUE(client.Ask(text).is_null()) << text;
  }
}

TEST(SessionTest, ACancelledRequestGetsNoAnswerAndItsOperationIsCancelled) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server());
  std::thread canceller([&] {
    backend.service().WaitForWatches(1);
    client.session().Accept(kCancel);
  });
  EXPECT_TRUE(client.Ask(kRun).is_null());
  canceller.join();
  EXPECT_THAT(backend.service().calls().cancelled, testing::ElementsAre("op-1"));
}

TEST(SessionTest, ACancellationFindsACallThatDoesNotRunYet) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server());
  const Session::Accepted accepted = client.session().Accept(kRun);
  ASSERT_NE(accepted.call, nullptr);
  client.session().Accept(kCancel);
  EXPECT_FALSE(accepted.call->Run().has_value());
}

TEST(SessionTest, StoppingEndsTheWaitButNotTheOperation) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server());
  std::thread stopper([&] {
    backend.service().WaitForWatches(1);
    client.session().Stop();
  });
  const json answer = client.Ask(kRun);
  stopper.join();
  EXPECT_EQ(answer["result"]["isError"], true);
  EXPECT_THAT(answer["result"]["content"][0]["text"].get<std::string>(), HasSubstr("op-1"));
  EXPECT_TRUE(backend.service().calls().cancelled.empty());
}

TEST(SessionTest, ProgressCarriesTheTokenAndStopsWithTheAnswer) {
  FakeBackend backend;
  Client client(backend.server());
  client.Ask(kRun);
  ASSERT_EQ(client.notifications().size(), 1U);
  EXPECT_EQ(
      client.notifications()[0],
      json({{"jsonrpc", "2.0"},
            {"method", "notifications/progress"},
            {"params",
             {{"progressToken", 7}, {"progress", 1}, {"message", "operation op-1 started"}}}}));
}

TEST(SessionTest, WithoutATokenThereIsNoProgress) {
  FakeBackend backend;
  Client client(backend.server());
  client.Request("tools/call",
                 {{"name", "run"}, {"arguments", {{"command", "x"}, {"image", kBusyboxUuid}}}});
  EXPECT_TRUE(client.notifications().empty());
}

TEST(SessionTest, AnIdThatIsInUseIsRefusedAndFreeAgainAfterwards) {
  FakeBackend backend;
  Client client(backend.server());
  {
    const Session::Accepted first = client.session().Accept(kRun);
    EXPECT_EQ(client.Ask(kRun)["error"]["code"], -32600);
    EXPECT_TRUE(first.call->Run().has_value());
    EXPECT_FALSE(client.Ask(kRun).is_null());  // though `first` is still there
  }
  EXPECT_EQ(client.Ask(kRun)["result"]["isError"], false);
}

TEST(SessionTest, ACallThatIsRefusedIsAnswered) {
  FakeBackend backend;
  Client client(backend.server());
  const Session::Accepted accepted = client.session().Accept(kRun);
  const json answer = json::parse(accepted.call->Refuse("no room").json);
  EXPECT_EQ(answer["id"], "r");
  EXPECT_EQ(answer["error"]["message"], "no room");
}

}  // namespace
}  // namespace contree::gateway
