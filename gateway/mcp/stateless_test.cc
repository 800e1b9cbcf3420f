// Revision 2026-07-28: what each request says of itself, and how it is answered.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gateway/mcp/session.h"
#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kVersionKey[] = "io.modelcontextprotocol/protocolVersion";
constexpr char kCapabilitiesKey[] = "io.modelcontextprotocol/clientCapabilities";
constexpr char kLogLevelKey[] = "io.modelcontextprotocol/logLevel";
constexpr char kServerInfoKey[] = "io.modelcontextprotocol/serverInfo";

json Meta() { return {{kVersionKey, "2026-07-28"}, {kCapabilitiesKey, json::object()}}; }

class StatelessTest : public testing::Test {
 protected:
  json Ask(const std::string& method, json params = json::object(), const json& meta = Meta()) {
    if (!meta.is_null()) params["_meta"] = meta;
    Session::Accepted accepted = session_.Accept(
        json({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}).dump());
    if (accepted.answer.has_value()) return json::parse(*accepted.answer);
    return json::parse(accepted.call->Run()->json);
  }
  json Result(const std::string& method, const json& params = json::object()) {
    const json answer = Ask(method, params);
    EXPECT_TRUE(answer.contains("result")) << answer;
    return answer.value("result", json::object());
  }
  int Code(const std::string& method, const json& params, const json& meta = Meta()) {
    const json answer = Ask(method, params, meta);
    return answer.contains("error") ? answer["error"]["code"].get<int>() : 0;
  }

  FakeBackend backend_;
  std::vector<std::string> notifications_;
  Session session_{backend_.server(),
                   [this](std::string message) { notifications_.push_back(std::move(message)); }};
};

TEST_F(StatelessTest, DiscoverSaysWhatIsSpokenAndWhatThereIs) {
  const json result = Result("server/discover");
  EXPECT_THAT(result["supportedVersions"],
              ElementsAre("2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"));
  EXPECT_TRUE(result["capabilities"].contains("tools"));
  EXPECT_TRUE(result["capabilities"].contains("prompts"));
  EXPECT_THAT(result["instructions"].get<std::string>(), HasSubstr("CHECK"));
  EXPECT_GT(result["ttlMs"], 0);
  EXPECT_EQ(result["cacheScope"], "public");
  EXPECT_EQ(result["resultType"], "complete");
  const json& info = result["_meta"][kServerInfoKey];
  EXPECT_EQ(info["name"], "contree-mcp");
  EXPECT_THAT(info["icons"][0]["src"].get<std::string>(), HasSubstr("data:image/png;base64,"));
}

TEST_F(StatelessTest, EveryResultSaysWhatItIsAndWhoMadeIt) {
  for (const auto& [method, params] : std::vector<std::pair<std::string, json>>{
           {"server/discover", json::object()},
           {"tools/list", json::object()},
           {"tools/call", {{"name", "whoami"}}},
           {"tools/call", {{"name", "get_image"}}},  // an error of the tool
           {"resources/list", json::object()},
           {"resources/templates/list", json::object()},
           {"resources/read", {{"uri", "contree://guide/quickstart"}}},
           {"prompts/list", json::object()},
           {"prompts/get", {{"name", "run-python"}, {"arguments", {{"code", "1"}}}}},
           {"completion/complete",
            {{"ref", {{"type", "ref/resource"}, {"uri", "contree://guide/{section}"}}},
             {"argument", {{"name", "section"}, {"value", "q"}}}}}}) {
    const json result = Result(method, params);
    EXPECT_EQ(result["resultType"], "complete") << method;
    EXPECT_EQ(result["_meta"][kServerInfoKey]["name"], "contree-mcp") << method;
  }
}

TEST_F(StatelessTest, ListsAndContentsSayHowLongTheyKeep) {
  for (const char* method :
       {"tools/list", "resources/list", "resources/templates/list", "prompts/list"}) {
    const json result = Result(method);
    EXPECT_EQ(result["ttlMs"], 3'600'000) << method;
    EXPECT_EQ(result["cacheScope"], "public") << method;
  }
  const json guide = Result("resources/read", {{"uri", "contree://guide/quickstart"}});
  EXPECT_EQ(guide["ttlMs"], 86'400'000);
  EXPECT_EQ(guide["cacheScope"], "public");
  backend_.service().AddOperation("op-9");
  const json operation = Result("resources/read", {{"uri", "contree://operations/instance/op-9"}});
  EXPECT_EQ(operation["ttlMs"], 0);  // it executes
  EXPECT_EQ(operation["cacheScope"], "private");
}

TEST_F(StatelessTest, NothingOfItGetsIntoTheEarlierEra) {
  const json answer = Ask("tools/list", json::object(), nullptr);
  for (const char* member : {"resultType", "_meta", "ttlMs", "cacheScope"}) {
    EXPECT_FALSE(answer["result"].contains(member)) << member;
  }
}

TEST_F(StatelessTest, MetaHasToNameVersionAndCapabilities) {
  json meta = Meta();
  meta.erase(kVersionKey);
  EXPECT_EQ(Code("server/discover", json::object(), meta), -32602);
  meta[kVersionKey] = 20260728;
  EXPECT_EQ(Code("server/discover", json::object(), meta), -32602);
  EXPECT_EQ(Code("server/discover", json::object(), nullptr), -32602);
  meta = Meta();
  meta.erase(kCapabilitiesKey);
  EXPECT_EQ(Code("tools/list", json::object(), meta), -32602);
  meta[kCapabilitiesKey] = json::array();
  EXPECT_EQ(Code("tools/list", json::object(), meta), -32602);
  meta = Meta();
  meta[kLogLevelKey] = "loud";
  EXPECT_EQ(Code("tools/list", json::object(), meta), -32602);
}

TEST_F(StatelessTest, AVersionThatIsNotSpokenIsRefusedWithThoseThatAre) {
  json meta = Meta();
  meta[kVersionKey] = "2099-01-01";
  const json error = Ask("tools/list", json::object(), meta)["error"];
  EXPECT_EQ(error["code"], -32022);
  EXPECT_EQ(error["data"]["requested"], "2099-01-01");
  EXPECT_THAT(error["data"]["supported"], testing::Contains("2026-07-28"));
}

TEST_F(StatelessTest, MethodsOfOneEraDoNotExistInTheOther) {
  for (const char* method : {"initialize", "ping", "logging/setLevel", "resources/subscribe",
                             "resources/unsubscribe", "no/such"}) {
    EXPECT_EQ(Code(method, {{"protocolVersion", "2025-11-25"}, {"level", "info"}}), -32601)
        << method;
  }
}

TEST_F(StatelessTest, AnInitializeAfterADiscoverBeginsTheEarlierEra) {
  EXPECT_EQ(Code("server/discover", json::object()), 0);
  const json answer = Ask("initialize", {{"protocolVersion", "2025-11-25"}}, nullptr);
  EXPECT_EQ(answer["result"]["protocolVersion"], "2025-11-25");
}

TEST_F(StatelessTest, AMissingResourceIsAWrongParameter) {
  const json params = {{"uri", "contree://nothing/here"}};
  const json error = Ask("resources/read", params)["error"];
  EXPECT_EQ(error["code"], -32602);
  EXPECT_EQ(error["data"]["uri"], "contree://nothing/here");
  EXPECT_EQ(Code("resources/read", params, nullptr), -32002);  // as it was before
}

TEST_F(StatelessTest, ACursorThatWasNotGivenOutIsAWrongParameter) {
  for (const char* method :
       {"tools/list", "resources/list", "resources/templates/list", "prompts/list"}) {
    EXPECT_EQ(Code(method, {{"cursor", "x"}}), -32602) << method;
  }
}

TEST(RequestMetaTest, ReadsTheTraceOfAnyEra) {
  constexpr char kTraceParent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const Message request(
      Message::Kind::kRequest, "tools/list",
      {{"_meta",
        {{"traceparent", kTraceParent}, {"tracestate", "vendor=1"}, {"baggage", "user=7"}}}});
  const auto meta = ReadRequestMeta(request, nullptr);
  ASSERT_TRUE(meta.ok());
  EXPECT_EQ(meta->era, Era::kSessions);
  EXPECT_EQ(meta->trace, (TraceContext{kTraceParent, "vendor=1", "user=7"}));
}

TEST(RequestMetaTest, ChoosesTheEra) {
  const auto era = [](const char* method, const json& meta,
                      const std::optional<std::string>* header) {
    json params = json::object();
    if (!meta.is_null()) params["_meta"] = meta;
    const auto read =
        ReadRequestMeta(Message(Message::Kind::kRequest, method, std::move(params)), header);
    EXPECT_TRUE(read.ok()) << read.status();
    return read.ok() ? read->era : Era::kSessions;
  };
  const std::optional<std::string> none;
  const std::optional<std::string> earlier = "2025-06-18";
  const std::optional<std::string> stateless = "2026-07-28";
  EXPECT_EQ(era("tools/list", nullptr, &none), Era::kSessions);
  EXPECT_EQ(era("tools/list", nullptr, &earlier), Era::kSessions);
  EXPECT_EQ(era("tools/list", {{kVersionKey, "2025-06-18"}}, &earlier), Era::kSessions);
  EXPECT_EQ(era("tools/list", Meta(), &stateless), Era::kStateless);
  EXPECT_EQ(era("tools/list", Meta(), nullptr), Era::kStateless);
  EXPECT_EQ(era("initialize", nullptr, &stateless), Era::kSessions);
}

}  // namespace
}  // namespace contree::gateway
