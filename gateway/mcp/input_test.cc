// Handlers that ask their client for something: as a result that asks (2026-07-28) and as requests
// that go the other way (before).

#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/mcp/input_round.h"
#include "gateway/mcp/session.h"
#include "gateway/testing/asking_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const json kAnyForm = {{"elicitation", json::object()}};

json Accept(const std::string& key, const std::string& text) {
  return {{"action", "accept"}, {"content", {{key, text}}}};
}

// A client of either era; what it is sent by itself is kept.
class Client {
 public:
  explicit Client(const McpServer& server)
      : session_(server, [this](const std::string& message) {
          absl::MutexLock lock(&mutex_);
          sent_.push_back(json::parse(message));
        }) {}

  Session& session() { return session_; }

  json Ask(const std::string& method, const json& params) {
    Session::Accepted accepted = session_.Accept(
        json({{"jsonrpc", "2.0"}, {"id", ++id_}, {"method", method}, {"params", params}}).dump());
    if (accepted.answer.has_value()) return json::parse(*accepted.answer);
    const std::optional<Answer> answer = accepted.call->Run();
    return answer.has_value() ? json::parse(answer->json) : json();
  }
  json AskStateless(const std::string& method, json params, const json& capabilities = kAnyForm) {
    params["_meta"] = {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                       {"io.modelcontextprotocol/clientCapabilities", capabilities}};
    return Ask(method, params);
  }
  void Initialize(const json& capabilities) {
    Ask("initialize", {{"protocolVersion", "2025-11-25"}, {"capabilities", capabilities}});
  }
  // The message of that number that the server sent by itself.
  json WaitForSent(size_t number) {
    absl::MutexLock lock(&mutex_);
    const auto is_there = [&] {
      mutex_.AssertHeld();
      return sent_.size() >= number;
    };
    mutex_.Await(absl::Condition(&is_there));
    return sent_[number - 1];
  }
  std::vector<json> sent() {
    absl::MutexLock lock(&mutex_);
    return sent_;
  }
  void Respond(const json& request, const json& result) {
    session_.Accept(json({{"jsonrpc", "2.0"}, {"id", request["id"]}, {"result", result}}).dump());
  }

 private:
  int id_ = 0;
  absl::Mutex mutex_;
  std::vector<json> sent_ ABSL_GUARDED_BY(mutex_);
  Session session_;
};

class InputTest : public testing::Test {
 protected:
  AskingServer asking_;
  Client client_{asking_.server()};
};

TEST_F(InputTest, AResultAsksAndASecondRequestAnswers) {
  const json first = client_.AskStateless("tools/call", {{"name", "greet"}})["result"];
  EXPECT_EQ(first["resultType"], "input_required");
  EXPECT_EQ(first["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "contree-mcp");
  EXPECT_EQ(first["inputRequests"]["name"]["method"], "elicitation/create");
  EXPECT_EQ(first["inputRequests"]["name"]["params"]["message"], "Your name?");
  EXPECT_FALSE(first.contains("requestState"));
  const json second = client_.AskStateless(
      "tools/call",
      {{"name", "greet"},
       {"inputResponses", {{"name", Accept("name", "Ada")}, {"more", json::object()}}}})["result"];
  EXPECT_EQ(second["resultType"], "complete");
  EXPECT_EQ(second["content"][0]["text"], "hello Ada");
}

TEST_F(InputTest, WhatIsMissingIsAskedForAgain) {
  const json answer =
      client_.AskStateless("tools/call", {{"name", "greet"}, {"inputResponses", json::object()}});
  EXPECT_EQ(answer["result"]["resultType"], "input_required");
}

TEST_F(InputTest, PromptsAndResourcesAskInTheSameWay) {
  for (const auto& [method, params] : std::vector<std::pair<std::string, json>>{
           {"prompts/get", {{"name", "greet"}}},
           {"resources/read", {{"uri", "test://greeting"}}}}) {
    EXPECT_EQ(client_.AskStateless(method, params)["result"]["resultType"], "input_required");
    json again = params;
    again["inputResponses"] = {{"name", Accept("name", "Ada")}};
    const json result = client_.AskStateless(method, again)["result"];
    EXPECT_EQ(result["resultType"], "complete") << method;
    EXPECT_THAT(result.dump(), HasSubstr("Ada"));
  }
}

TEST_F(InputTest, AStateComesBackAsItWasAndCannotBeRead) {
  json params = {{"name", "greet"},
                 {"arguments", {{"formal", true}}},
                 {"inputResponses", {{"name", Accept("name", "Ada Lovelace")}}}};
  const json first = client_.AskStateless("tools/call", params)["result"];
  const std::string state = first["requestState"];
  EXPECT_THAT(first.dump(), Not(HasSubstr("Ada")));
  params["inputResponses"] = {{"title", Accept("title", "Countess")}};
  params["requestState"] = state;
  const json second = client_.AskStateless("tools/call", params)["result"];
  EXPECT_EQ(second["content"][0]["text"], "hello Countess Ada Lovelace");
}

TEST_F(InputTest, AStateThatIsNotItsOwnIsRefused) {
  json params = {{"name", "greet"},
                 {"arguments", {{"formal", true}}},
                 {"inputResponses", {{"name", Accept("name", "Ada")}}}};
  const std::string state = client_.AskStateless("tools/call", params)["result"]["requestState"];
  const auto code = [this](json changed) {
    const json answer = client_.AskStateless("tools/call", std::move(changed));
    return answer.contains("error") ? answer["error"]["code"].get<int>() : 0;
  };
  params["requestState"] = state;
  EXPECT_EQ(code(params), 0);
  json changed = params;
  changed["requestState"] = state + "-TAMPERED";
  EXPECT_EQ(code(changed), -32602);
  changed["requestState"] = (state[0] == 'A' ? "B" : "A") + state.substr(1);
  EXPECT_EQ(code(changed), -32602);
  changed["requestState"] = 7;
  EXPECT_EQ(code(changed), -32602);
  changed = params;  // of other arguments
  changed["arguments"]["formal"] = false;
  EXPECT_EQ(code(changed), -32602);
  changed = params;  // of another tool
  changed["name"] = "sign_in";
  EXPECT_EQ(code(changed), -32602);
}

TEST_F(InputTest, AStateIsBoundToItsTenantAndExpires) {
  const Message request(Message::Kind::kRequest, "tools/call", {{"name", "greet"}});
  const absl::Time now = absl::Now();
  const auto result =
      InputRequiredJson({.requests = {}, .state = "s"}, request, "a", asking_.sealer(), now);
  ASSERT_OK(result);
  const Message again(Message::Kind::kRequest, "tools/call",
                      {{"name", "greet"}, {"requestState", json::parse(*result)["requestState"]}});
  const auto read = [&](const char* tenant, absl::Time at) {
    return ReadInputRound(again, tenant, asking_.sealer(), at);
  };
  EXPECT_EQ(read("a", now + absl::Minutes(59))->state, "s");
  EXPECT_THAT(read("b", now),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("begin again")));
  EXPECT_THAT(read("a", now + absl::Minutes(61)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expired")));
}

TEST_F(InputTest, ResponsesHaveToBeResults) {
  for (const json& wrong : {json(nullptr), json(5), json({{"name", 12345}})}) {
    const json answer =
        client_.AskStateless("tools/call", {{"name", "greet"}, {"inputResponses", wrong}});
    EXPECT_EQ(answer["error"]["code"], -32602) << wrong;
  }
}

TEST_F(InputTest, WhatAClientCannotDoItIsNotAskedFor) {
  const json error =
      client_.AskStateless("tools/call", {{"name", "greet"}}, json::object())["error"];
  EXPECT_EQ(error["code"], -32021);
  EXPECT_EQ(error["data"]["requiredCapabilities"], kAnyForm);
  const json page = client_.AskStateless("tools/call", {{"name", "sign_in"}})["error"];
  EXPECT_EQ(page["data"]["requiredCapabilities"],
            json({{"elicitation", {{"url", json::object()}}}}));
}

TEST_F(InputTest, InASessionTheServerAsksAndWaits) {
  client_.Initialize(kAnyForm);
  json answer;
  std::thread caller([&] {
    answer = client_.Ask("tools/call", {{"name", "greet"}, {"arguments", {{"formal", true}}}});
  });
  const json first = client_.WaitForSent(1);
  EXPECT_EQ(first["method"], "elicitation/create");
  EXPECT_EQ(first["params"]["message"], "Your name?");
  client_.Respond(first, Accept("name", "Ada"));
  const json second = client_.WaitForSent(2);
  EXPECT_NE(second["id"], first["id"]);
  client_.Respond(second, Accept("title", "Countess"));
  caller.join();
  EXPECT_EQ(answer["result"]["content"][0]["text"], "hello Countess Ada");
  EXPECT_FALSE(answer["result"].contains("resultType"));
}

TEST_F(InputTest, InASessionAPageIsAskedForWhereTheClientOpensPages) {
  client_.Initialize({{"elicitation", {{"url", json::object()}}}});
  json answer;
  std::thread caller([&] { answer = client_.Ask("tools/call", {{"name", "sign_in"}}); });
  const json asked = client_.WaitForSent(1);
  EXPECT_EQ(asked["params"]["mode"], "url");
  client_.Respond(asked, {{"action", "decline"}});
  caller.join();
  EXPECT_EQ(answer["result"]["content"][0]["text"], "decline");
}

TEST_F(InputTest, InASessionWithoutTheCapabilityTheToolSaysWhatIsMissing) {
  client_.Initialize(json::object());
  const json answer = client_.Ask("tools/call", {{"name", "greet"}});
  EXPECT_EQ(answer["result"]["isError"], true);
  EXPECT_THAT(answer["result"]["content"][0]["text"].get<std::string>(),
              HasSubstr("elicitation/create"));
  EXPECT_EQ(client_.Ask("prompts/get", {{"name", "greet"}})["error"]["code"], -32602);
  EXPECT_TRUE(client_.sent().empty());
}

TEST_F(InputTest, AnErrorOfTheClientIsAnErrorOfTheTool) {
  client_.Initialize(kAnyForm);
  json answer;
  std::thread caller([&] { answer = client_.Ask("tools/call", {{"name", "greet"}}); });
  const json asked = client_.WaitForSent(1);
  client_.session().Accept(json({{"jsonrpc", "2.0"},
                                 {"id", asked["id"]},
                                 {"error", {{"code", -1}, {"message", "the user is away"}}}})
                               .dump());
  caller.join();
  EXPECT_EQ(answer["result"]["isError"], true);
  EXPECT_THAT(answer["result"]["content"][0]["text"].get<std::string>(),
              HasSubstr("the user is away"));
}

TEST_F(InputTest, ACancellationEndsTheWaitForTheClient) {
  client_.Initialize(kAnyForm);
  json answer = 5;
  std::thread caller([&] { answer = client_.Ask("tools/call", {{"name", "greet"}}); });
  client_.WaitForSent(1);
  client_.session().Accept(
      R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}})");
  caller.join();
  EXPECT_TRUE(answer.is_null());
}

TEST_F(InputTest, AHandlerThatAsksForEverIsStopped) {
  client_.Initialize(kAnyForm);
  json answer;
  std::thread caller([&] { answer = client_.Ask("tools/call", {{"name", "ask_for_ever"}}); });
  for (size_t i = 1; i <= 16; ++i) {
    client_.Respond(client_.WaitForSent(i), Accept("name", "Ada"));
  }
  caller.join();
  EXPECT_EQ(answer["error"]["code"], -32603);
}

TEST_F(InputTest, LogsArriveFromTheLevelThatIsWanted) {
  client_.Ask("tools/call", {{"name", "talk"}});
  ASSERT_EQ(client_.sent().size(), 1U);
  EXPECT_EQ(client_.sent()[0]["method"], "notifications/message");
  EXPECT_EQ(client_.sent()[0]["params"],
            json({{"level", "warning"}, {"logger", "contree-mcp"}, {"data", "loud"}}));
  EXPECT_EQ(client_.Ask("logging/setLevel", {{"level", "debug"}})["result"], json::object());
  client_.Ask("tools/call", {{"name", "talk"}});
  EXPECT_EQ(client_.sent().size(), 3U);
  client_.Ask("logging/setLevel", {{"level", "error"}});
  client_.Ask("tools/call", {{"name", "talk"}});
  EXPECT_EQ(client_.sent().size(), 3U);
  EXPECT_EQ(client_.Ask("logging/setLevel", {{"level", "shout"}})["error"]["code"], -32602);
}

TEST_F(InputTest, AStatelessRequestGetsTheLogsThatItAsksFor) {
  client_.AskStateless("tools/call", {{"name", "talk"}});
  EXPECT_TRUE(client_.sent().empty());
  client_.Ask("tools/call", {{"name", "talk"},
                             {"_meta",
                              {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
                               {"io.modelcontextprotocol/clientCapabilities", json::object()},
                               {"io.modelcontextprotocol/logLevel", "debug"},
                               {"progressToken", "p"}}}});
  ASSERT_EQ(client_.sent().size(), 3U);
  EXPECT_EQ(client_.sent()[0]["params"]["data"], "quiet");
  EXPECT_EQ(client_.sent()[2]["method"], "notifications/progress");
}

}  // namespace
}  // namespace contree::gateway
