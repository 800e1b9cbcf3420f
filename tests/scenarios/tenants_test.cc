// Two tenants on one installation of separate programs: whatever one of them calls with what
// belongs to the other is answered as for something that never was, and does nothing. Without a
// key, or with a wrong one, nothing is answered at all.
//
// Methods come from reflection, tools and resources from their lists, so that a new one without a
// case here fails the test.

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/files/sha256.h"
#include "common/testing/status_matchers.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "contree/v1/contree_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "sync-service/testing/scripted_walker.h"
#include "tests/harness/grpc_probe.h"
#include "tests/harness/installation.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/test_registry.h"
#include "tests/scenarios/tenant_cases.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr char kSecretFile[] = "what only alpha wrote";
constexpr char kSecretOutput[] = "what only alpha printed";

class TenantsTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    registry_ = new TestRegistry({.access = TestRegistryOptions::Access::kPassword});
    installation_ = new Installation(registry_->host());
    GiveAlphaThings();
  }
  static void TearDownTestSuite() {
    delete installation_;
    delete registry_;
  }

  static McpHttpClient Client(const std::string& key) {
    return McpHttpClient(installation_->mcp_url(), key);
  }
  static json Call(const std::string& key, const std::string& tool, const json& arguments) {
    auto result = Client(key).CallTool(tool, arguments);
    EXPECT_OK(result);
    return result.value_or(json::object());
  }
  static json CallOk(const std::string& key, const std::string& tool, const json& arguments) {
    const json result = Call(key, tool, arguments);
    EXPECT_EQ(result.value("isError", true), false) << tool << result;
    return result.value("structuredContent", json::object());
  }
  static json Ask(const std::string& key, const std::string& method, const json& params,
                  const HttpHeaders& headers = {}) {
    const json message = {{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}};
    const auto response = Client(key).Post(message.dump(), headers);
    EXPECT_OK(response);
    return response.ok() ? json::parse(response->body, nullptr, false) : json();
  }

  static void GiveAlphaThings() {
    const json run = CallOk(
        kAlphaKey, "run",
        {{"command",
          absl::StrCat("echo '", kSecretFile, "' > /secret.txt; echo '", kSecretOutput, "'")},
         {"image", kBusyboxImage},
         {"disposable", false}});
    alpha_.operation = run.value("operation_id", "");
    alpha_.image = run.value("result_image", "");
    alpha_.tag = "alphas-own:1";
    CallOk(kAlphaKey, "set_tag", {{"image_uuid", alpha_.image}, {"tag", alpha_.tag}});
    alpha_.running = CallOk(kAlphaKey, "run",
                            {{"command", "sleep 600"}, {"image", kBusyboxImage}, {"wait", false}})
                         .value("operation_id", "");
    const std::string content = "what only alpha uploaded";
    alpha_.file = CallOk(kAlphaKey, "upload", {{"content", content}}).value("uuid", "");
    alpha_.sha256 = Sha256Hex(content);
    const auto sync =
        sync::v1::SyncService::NewStub(ChannelWithToken(installation_->sync_service(), kAlphaKey));
    ScriptedWalker walker(sync.get());
    const auto state = walker.Sync({{"", {{"a.txt", {.content = kSyncedText}}}}});
    EXPECT_OK(state);
    if (state.ok()) alpha_.state = state->directory_state_id();
    const auto registries = auth::v1::RegistryAuthService::NewStub(
        ChannelWithToken(installation_->auth_service(), kAlphaKey));
    auth::v1::StoreCredentialsRequest credentials;
    credentials.set_registry_url(registry_->host());
    credentials.set_username(kUser);
    credentials.set_token(kPassword);
    auth::v1::StoreCredentialsResponse stored;
    grpc::ClientContext context;
    const grpc::Status status = registries->StoreCredentials(&context, credentials, &stored);
    EXPECT_TRUE(status.ok()) << status.error_message();
    alpha_.registry = registry_->host();
    for (const std::string* one : {&alpha_.image, &alpha_.operation, &alpha_.running, &alpha_.file,
                                   &alpha_.sha256, &alpha_.state}) {
      ASSERT_FALSE(one->empty());
    }
    // As long as alpha's, so that answers can be compared byte by byte.
    nothing_ = {.image = "00000000-0000-4000-8000-00000000000a",
                .tag = "nobodys-it:1",
                .operation = "00000000-0000-4000-8000-00000000000b",
                .running = "00000000-0000-4000-8000-00000000000c",
                .file = "00000000-0000-4000-8000-00000000000d",
                .sha256 = std::string(64, '0'),
                .state = "ds_" + std::string(alpha_.state.size() - 3, '0'),
                .registry = alpha_.registry};
  }

  // Fails where the text holds anything of alpha's.
  static void ExpectNothingOfAlphas(absl::string_view text, const std::string& where) {
    for (const std::string& mark :
         {alpha_.image, alpha_.tag, alpha_.operation, alpha_.running, alpha_.file, alpha_.state,
          std::string(kSecretFile), std::string(kSecretOutput), std::string(kUser),
          std::string(kPassword), std::string("alphas-token")}) {
      EXPECT_FALSE(absl::StrContains(text, mark)) << where << ": " << text;
    }
  }
  // Names of alpha's things, which the question had, by those of nobody's.
  static std::string AsOfNobody(const std::string& text) {
    return absl::StrReplaceAll(text, {{alpha_.image, nothing_.image},
                                      {alpha_.tag, nothing_.tag},
                                      {alpha_.operation, nothing_.operation},
                                      {alpha_.running, nothing_.running},
                                      {alpha_.file, nothing_.file},
                                      {alpha_.sha256, nothing_.sha256},
                                      {alpha_.state, nothing_.state}});
  }
  static std::string Text(const RawReply& reply) {
    std::string text = absl::StrCat(reply.status.ToString(), "\n");
    for (const std::string& response : reply.responses) absl::StrAppend(&text, response, "\n");
    return text;
  }
  // The only answer with maps, whose order on the wire is any.
  static std::string IdentityText(const RawReply& reply) {
    v1::GetIdentityResponse identity;
    if (reply.responses.size() == 1) identity.ParseFromString(reply.responses[0]);
    return absl::StrCat(reply.status.ToString(), "\n", identity.DebugString());
  }

  static TestRegistry* registry_;
  static Installation* installation_;
  static Things alpha_;
  static Things nothing_;
};

TestRegistry* TenantsTest::registry_ = nullptr;
Installation* TenantsTest::installation_ = nullptr;
Things TenantsTest::alpha_;
Things TenantsTest::nothing_;

// Those of gRPC itself.
bool IsOfGrpc(const std::string& method) { return absl::StartsWith(method, "/grpc."); }

TEST_F(TenantsTest, EveryRpcWithTheOthersThingsFindsNothing) {
  const auto cases = RpcCases();
  std::set<std::string> called;
  for (const std::string& address :
       {installation_->contree_service(), installation_->auth_service(),
        installation_->sync_service()}) {
    const auto channel = ChannelWithToken(address, kBetaKey);
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> methods, ReflectedMethods(channel));
    for (const std::string& method : methods) {
      if (IsOfGrpc(method)) continue;
      const auto found = cases.find(method);
      ASSERT_NE(found, cases.end()) << method << " is new: add a case for it";
      called.insert(method);
      for (const Case& make : found->second) {
        const auto text = absl::EndsWith(method, "/GetIdentity") ? IdentityText : Text;
        const std::string theirs = text(CallRaw(channel, method, make(alpha_)));
        const std::string nobodys = text(CallRaw(channel, method, make(nothing_)));
        // Request ids and the like do not travel in answers: what is left is the same.
        EXPECT_EQ(AsOfNobody(theirs), nobodys) << method;
        ExpectNothingOfAlphas(nobodys, method);
      }
    }
  }
  EXPECT_EQ(called.size(), cases.size()) << "a case is of a method that is no more";
}

// The same calls are no empty ones: with alpha's key they find what is there.
TEST_F(TenantsTest, TheOwnerFindsThem) {
  const auto channel = ChannelWithToken(installation_->contree_service(), kAlphaKey);
  const auto cases = RpcCases();
  for (const char* name : {"GetImage", "GetImageLineage", "GetOperation", "ListFiles", "ReadFile",
                           "Grep", "FindFiles", "ReadArchive"}) {
    const std::string method = absl::StrCat("/contree.v1.ContreeService/", name);
    const RawReply reply = CallRaw(channel, method, cases.at(method)[0](alpha_));
    EXPECT_OK(reply.status) << method;
    EXPECT_FALSE(reply.responses.empty()) << method;
  }
  const RawReply state =
      CallRaw(ChannelWithToken(installation_->sync_service(), kAlphaKey),
              "/contree.sync.v1.SyncService/GetDirectoryState",
              cases.at("/contree.sync.v1.SyncService/GetDirectoryState")[0](alpha_));
  EXPECT_OK(state.status);
  const RawReply credentials =
      CallRaw(ChannelWithToken(installation_->auth_service(), kAlphaKey),
              "/contree.auth.v1.RegistryAuthService/ListCredentials", {""});
  ASSERT_EQ(credentials.responses.size(), 1u);
  EXPECT_THAT(credentials.responses[0], HasSubstr(kUser));
}

TEST_F(TenantsTest, EveryRpcWithoutAKeyIsRefusedInTheSameWords) {
  for (const std::string& address :
       {installation_->contree_service(), installation_->auth_service(),
        installation_->sync_service(), installation_->gateway_grpc()}) {
    ASSERT_OK_AND_ASSIGN(const std::vector<std::string> methods,
                         ReflectedMethods(ChannelWithToken(address, kAlphaReader)));
    for (const std::string& key : {std::string(), std::string("wrong"), Sha256Hex(kAlphaKey)}) {
      const auto channel = ChannelWithToken(address, key);
      for (const std::string& method : methods) {
        if (absl::StartsWith(method, "/grpc.health.v1.Health/")) continue;
        const RawReply reply = CallRaw(channel, method, {""});
        EXPECT_EQ(reply.status, absl::UnauthenticatedError("a valid bearer token is required"))
            << method;
        EXPECT_TRUE(reply.responses.empty()) << method;
      }
      EXPECT_EQ(CallRaw(channel, "/no.such.Service/Method", {""}).status.code(),
                absl::StatusCode::kUnauthenticated);
    }
    EXPECT_THAT(HealthOf(address), testing::Eq(absl::StatusOr<std::string>("SERVING")));
  }
}

TEST_F(TenantsTest, EveryToolWithTheOthersThingsFindsNothing) {
  const auto with_alphas = ToolCases(alpha_);
  const auto with_nothing = ToolCases(nothing_);
  const json listed = Ask(kBetaKey, "tools/list", json::object());
  ASSERT_EQ(listed["result"]["tools"].size(), with_alphas.size());
  for (const json& tool : listed["result"]["tools"]) {
    const std::string name = tool["name"];
    ASSERT_TRUE(with_alphas.contains(name)) << name << " is new: add a case for it";
    for (size_t i = 0; i < with_alphas.at(name).size(); ++i) {
      const std::string theirs = Call(kBetaKey, name, with_alphas.at(name)[i]).dump();
      const std::string nobodys = Call(kBetaKey, name, with_nothing.at(name)[i]).dump();
      EXPECT_EQ(AsOfNobody(theirs), nobodys) << name;
      ExpectNothingOfAlphas(nobodys, name);
      for (const std::string& key : {std::string(), std::string("wrong")}) {
        const auto refused = Client(key).Post(
            json{{"jsonrpc", "2.0"},
                 {"id", 1},
                 {"method", "tools/call"},
                 {"params", {{"name", name}, {"arguments", with_alphas.at(name)[i]}}}}
                .dump());
        ASSERT_OK(refused);
        EXPECT_EQ(refused->status, 401) << name;
      }
    }
  }
}

TEST_F(TenantsTest, EveryResourceOfTheOtherIsNone) {
  const auto uris = [](const Things& t) {
    return std::map<std::string, std::vector<std::string>>{
        {"contree://image/{image}/ls/{path}",
         {"contree://image/" + t.image + "/ls/", "contree://image/tag%3A" + t.tag + "/ls/"}},
        {"contree://image/{image}/read/{path}",
         {"contree://image/" + t.image + "/read/secret.txt"}},
        {"contree://image/{image}/lineage", {"contree://image/" + t.image + "/lineage"}},
        {"contree://operations/instance/{operation_id}",
         {"contree://operations/instance/" + t.operation,
          "contree://operations/instance/" + t.running}},
        {"contree://operations/import/{operation_id}",
         {"contree://operations/import/" + t.operation}},
        {"contree://guide/{section}", {"contree://guide/quickstart"}},
    };
  };
  const auto with_alphas = uris(alpha_);
  const auto with_nothing = uris(nothing_);
  const json listed = Ask(kBetaKey, "resources/templates/list", json::object());
  ASSERT_EQ(listed["result"]["resourceTemplates"].size(), with_alphas.size()) << listed;
  for (const json& entry : listed["result"]["resourceTemplates"]) {
    const std::string uri_template = entry["uriTemplate"];
    ASSERT_TRUE(with_alphas.contains(uri_template)) << uri_template << " is new";
    for (size_t i = 0; i < with_alphas.at(uri_template).size(); ++i) {
      const std::string theirs =
          Ask(kBetaKey, "resources/read", {{"uri", with_alphas.at(uri_template)[i]}}).dump();
      const std::string nobodys =
          Ask(kBetaKey, "resources/read", {{"uri", with_nothing.at(uri_template)[i]}}).dump();
      EXPECT_EQ(AsOfNobody(theirs), nobodys) << uri_template;
      ExpectNothingOfAlphas(nobodys, uri_template);
    }
  }
}

TEST_F(TenantsTest, CompletionsKnowOnlyWhatIsOnesOwn) {
  for (const auto& [ref, name] : std::map<std::string, std::string>{
           {"contree://image/{image}/lineage", "image"},
           {"contree://operations/instance/{operation_id}", "operation_id"}}) {
    const json params = {{"ref", {{"type", "ref/resource"}, {"uri", ref}}},
                         {"argument", {{"name", name}, {"value", ""}}}};
    ExpectNothingOfAlphas(Ask(kBetaKey, "completion/complete", params).dump(), ref);
    EXPECT_THAT(Ask(kAlphaKey, "completion/complete", params).dump(),
                testing::AnyOf(HasSubstr(alpha_.tag), HasSubstr(alpha_.running)));
  }
}

TEST_F(TenantsTest, ASessionOfTheOtherIsNone) {
  const json initialize = {{"jsonrpc", "2.0"},
                           {"id", 1},
                           {"method", "initialize"},
                           {"params",
                            {{"protocolVersion", "2025-06-18"},
                             {"capabilities", json::object()},
                             {"clientInfo", {{"name", "c"}, {"version", "1"}}}}}};
  ASSERT_OK_AND_ASSIGN(const HttpResponse opened, Client(kAlphaKey).Post(initialize.dump()));
  const std::string session = opened.Header("Mcp-Session-Id").value_or("");
  ASSERT_FALSE(session.empty());
  const std::string ping = R"({"jsonrpc":"2.0","id":2,"method":"ping"})";
  EXPECT_EQ(Client(kAlphaKey).Post(ping, {{"Mcp-Session-Id", session}})->status, 200);
  EXPECT_EQ(Client(kBetaKey).Post(ping, {{"Mcp-Session-Id", session}})->status, 404);
}

TEST_F(TenantsTest, EveryRouteOfTheConsoleIsOnesOwn) {
  const auto routes = [](const Things& t) {
    return std::vector<std::string>{
        "/console/api/tree",
        "/console/api/syncs",
        "/console/api/operations?limit=1000",
        "/console/api/operations/" + t.operation,
        "/console/api/operations/" + t.running,
        "/console/api/operations/" + t.operation + "/events",
        "/console/api/operations/" + t.running + "/events",
        "/console/api/file?image=" + t.image + "&path=/secret.txt",
        "/console/api/file?image=tag:" + t.tag + "&path=/secret.txt",
    };
  };
  const std::vector<std::string> with_alphas = routes(alpha_);
  const std::vector<std::string> with_nothing = routes(nothing_);
  const auto get = [](const std::string& key, const std::string& target) {
    const auto response = Client(key).Exchange({.method = "GET", .target = target});
    EXPECT_OK(response);
    return response.ok() ? absl::StrCat(response->status, " ", response->body) : "";
  };
  for (size_t i = 0; i < with_alphas.size(); ++i) {
    EXPECT_EQ(AsOfNobody(get(kBetaKey, with_alphas[i])), get(kBetaKey, with_nothing[i]));
    ExpectNothingOfAlphas(get(kBetaKey, with_nothing[i]), with_nothing[i]);
    EXPECT_THAT(get("", with_alphas[i]), testing::StartsWith("401 "));
    EXPECT_THAT(get("wrong", with_alphas[i]), testing::StartsWith("401 "));
  }
  EXPECT_THAT(get(kAlphaKey, with_alphas[7]), HasSubstr(kSecretFile));
  for (const auto& [tool, arguments] :
       std::map<std::string, json>{{"cancel_operation", {{"operation_id", alpha_.running}}},
                                   {"list_files", {{"image", alpha_.image}}},
                                   {"list_images", json::object()},
                                   {"whoami", json::object()}}) {
    for (const std::string& key : {std::string(kBetaKey), std::string(), std::string("wrong")}) {
      ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                           Client(key).Exchange({.method = "POST",
                                                 .target = "/console/api/tools/" + tool,
                                                 .headers = {{"X-Contree-Console", "1"}},
                                                 .body = arguments.dump(),
                                                 .content_type = "application/json"}));
      EXPECT_EQ(response.status, key == kBetaKey ? 200 : 401) << tool;
      ExpectNothingOfAlphas(AsOfNobody(response.body), tool);
    }
  }
}

TEST_F(TenantsTest, AKeyForReadingRunsNothing) {
  EXPECT_EQ(CallOk(kAlphaReader, "get_image", {{"image", alpha_.image}})["uuid"], alpha_.image);
  const json message = {
      {"jsonrpc", "2.0"},
      {"id", 1},
      {"method", "tools/call"},
      {"params",
       {{"name", "cancel_operation"}, {"arguments", {{"operation_id", alpha_.running}}}}}};
  ASSERT_OK_AND_ASSIGN(const HttpResponse refused, Client(kAlphaReader).Post(message.dump()));
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.Header("WWW-Authenticate").value_or(""), HasSubstr("insufficient_scope"));
  // Past the gateway it is the same.
  const auto cases = RpcCases();
  for (const char* method :
       {"/contree.v1.ContreeService/RunInstance", "/contree.v1.ContreeService/CancelOperation",
        "/contree.v1.ContreeService/SetTag", "/contree.v1.ContreeService/UploadFile"}) {
    EXPECT_EQ(CallRaw(ChannelWithToken(installation_->contree_service(), kAlphaReader), method,
                      cases.at(method)[0](alpha_))
                  .status.code(),
              absl::StatusCode::kPermissionDenied)
        << method;
  }
}

// Runs last: after all that was tried, alpha has what it had.
TEST_F(TenantsTest, ZNothingOfTheOwnersHasChanged) {
  EXPECT_EQ(CallOk(kAlphaKey, "get_operation", {{"operation_id", alpha_.running}})["state"],
            "EXECUTING");
  EXPECT_EQ(CallOk(kAlphaKey, "get_image", {{"image", alpha_.image}})["tag"], alpha_.tag);
  EXPECT_THAT(CallOk(kAlphaKey, "list_images", {{"limit", 1000}}).dump(),
              Not(HasSubstr("stolen:1")));
  const RawReply credentials =
      CallRaw(ChannelWithToken(installation_->auth_service(), kAlphaKey),
              "/contree.auth.v1.RegistryAuthService/ListCredentials", {""});
  ASSERT_EQ(credentials.responses.size(), 1u);
  EXPECT_THAT(credentials.responses[0], HasSubstr(kUser));
  // Keys and tokens are in no log.
  const std::string logs = installation_->Logs();
  for (const char* secret : {kAlphaKey, kBetaKey, kPassword, "alphas-token-at", "betas-token-at"}) {
    EXPECT_THAT(logs, Not(HasSubstr(secret)));
  }
  CallOk(kAlphaKey, "cancel_operation", {{"operation_id", alpha_.running}});
}

}  // namespace
}  // namespace contree::testing_harness
