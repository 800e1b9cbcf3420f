// Who is let in over HTTP: to MCP, to a session, and to what the console asks.

#include "gateway/transport/http_admission.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits/tenant_limits.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "common/time/clock.h"
#include "gateway/testing/fake_backend.h"
#include "gateway/testing/http_exchange.h"
#include "gateway/testing/http_test_client.h"
#include "gateway/transport/http_transport.h"
#include "gateway/web/web_site.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class KnownTokens final : public Authenticator {
 public:
  absl::StatusOr<Identity> Authenticate(absl::string_view token) override {
    if (token == "alpha-token") return Identity{"alpha", "ann", kAllScopes};
    if (token == "beta-token") return Identity{"beta", "bob", kAllScopes};
    if (token == "reader") return Identity{"alpha", "dashboard", {.read = true}};
    if (token == "runner") return Identity{"alpha", "bot", {.run = true}};
    if (token == "nothing") return Identity{"alpha", "x", {}};
    return NotAuthenticated();
  }
};

std::string Bearer(const std::string& token) {
  return absl::StrCat("Authorization: Bearer ", token, "\r\n");
}

std::string CallBody(const std::string& tool, const json& arguments = json::object()) {
  return Request(1, "tools/call", {{"name", tool}, {"arguments", arguments}});
}

class HttpAdmissionTest : public testing::Test {
 protected:
  HttpAdmissionTest()
      : site_({backend_.tools(), backend_.resources(), backend_.prompts(), backend_.completions()},
              backend_.services()) {
    Start({});
  }

  void Start(HttpAdmissionOptions admission) {
    admission.authenticator = std::make_shared<KnownTokens>();
    HttpTransportOptions options;
    options.admission = std::move(admission);
    options.pages = [this](HttpExchange& exchange, const HttpAdmission& admission) {
      return site_.Handle(exchange, admission);
    };
    transport_ = nullptr;
    auto transport = HttpTransport::Start(backend_.server(), options);
    ASSERT_OK(transport);
    transport_ = *std::move(transport);
  }
  HttpAnswer Post(const std::string& headers, const std::string& body) {
    return ExchangeHttp(transport_->port(), "POST /mcp", headers, body);
  }
  HttpAnswer Get(const std::string& path, const std::string& headers = "") {
    return ExchangeHttp(transport_->port(), "GET " + path, headers, "");
  }

  FakeBackend backend_;
  const WebSite site_;
  std::unique_ptr<HttpTransport> transport_;
};

TEST_F(HttpAdmissionTest, BeyondATenantsRequestsTheAnswerIs429) {
  RealClock clock;
  const auto limits = std::make_shared<TenantLimits>(&clock);
  // So seldom that none comes back while the test runs.
  ASSERT_OK(limits->Load(R"({"tenants": {"alpha": {"requests_per_second": 0.001}}})"));
  Start({.limits = limits});
  EXPECT_EQ(Post(Bearer("alpha-token"), CallBody("list_images")).status, 200);
  const HttpAnswer refused = Post(Bearer("alpha-token"), CallBody("list_images"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.Header("Retry-After"), testing::MatchesRegex("[1-9][0-9]*"));
  EXPECT_THAT(refused.body, HasSubstr("try again in"));
  EXPECT_EQ(Get("/console/api/tree", Bearer("alpha-token")).status, 429);
  EXPECT_EQ(Post(Bearer("beta-token"), CallBody("list_images")).status, 200);
  EXPECT_EQ(Post(Bearer("wrong"), CallBody("list_images")).status, 401);
}

TEST_F(HttpAdmissionTest, WithoutAValidTokenThereIsOneAnswer) {
  const std::string text = Post("", CallBody("list_images")).body;
  for (const std::string& headers :
       {std::string(), Bearer("wrong"), std::string("Authorization: Basic alpha-token\r\n"),
        Bearer("")}) {
    for (const std::string& body :
         {CallBody("list_images"), CallBody("run"), Request(1, "no/such", json::object()),
          std::string("no json"), std::string("[]"),
          InitializeBody("2025-06-18", json::object())}) {
      const HttpAnswer answer = Post(headers, body);
      EXPECT_EQ(answer.status, 401);
      EXPECT_EQ(answer.body, text);
      EXPECT_THAT(answer.Header("WWW-Authenticate"), HasSubstr("Bearer "));
      EXPECT_THAT(answer.Header("WWW-Authenticate"), Not(HasSubstr("resource_metadata")));
    }
    for (const char* line :
         {"GET /mcp", "DELETE /mcp", "GET /console/api/tree", "GET /console/api/operations",
          "GET /console/api/operations/op-1", "GET /console/api/operations/op-1/events",
          "GET /console/api/file?image=x&path=/", "GET /console/api/no-such"}) {
      const HttpAnswer answer = ExchangeHttp(transport_->port(), line, headers, "");
      EXPECT_EQ(answer.status, 401) << line;
      EXPECT_EQ(answer.body, text) << line;
    }
    EXPECT_EQ(ExchangeHttp(transport_->port(), "POST /console/api/tools/whoami",
                           headers + "X-Contree-Console: 1\r\n", "{}")
                  .status,
              401);
  }
  EXPECT_THAT(backend_.service().calls().authorizations, IsEmpty());
  EXPECT_EQ(Get("/healthz").status, 200);
}

TEST_F(HttpAdmissionTest, PagesAreEverybodysAndHoldNothingOfATenant) {
  for (const char* path : {"/", "/console", "/assets/console.js", "/assets/site.css"}) {
    const HttpAnswer open = Get(path);
    EXPECT_EQ(open.status, 200) << path;
    EXPECT_EQ(open.body, Get(path, Bearer("alpha-token")).body) << path;
    EXPECT_THAT(open.body, Not(HasSubstr(kBusyboxUuid))) << path;
  }
  EXPECT_THAT(backend_.service().calls().authorizations, IsEmpty());
}

TEST_F(HttpAdmissionTest, TheTokenGoesOnToTheServices) {
  EXPECT_EQ(Post(Bearer("alpha-token"), CallBody("list_images")).status, 200);
  EXPECT_EQ(Get("/console/api/tree", Bearer("beta-token")).status, 200);
  const std::string batch = absl::StrCat("[", CallBody("list_images"), "]");
  EXPECT_EQ(Post(Bearer("reader") + "MCP-Protocol-Version: 2025-03-26\r\n", batch).status, 200);
  EXPECT_EQ(ExchangeHttp(transport_->port(), "POST /console/api/tools/list_images",
                         Bearer("beta-token") + "X-Contree-Console: 1\r\n", "{}")
                .status,
            200);
  EXPECT_THAT(
      backend_.service().calls().authorizations,
      ElementsAre("Bearer alpha-token", "Bearer beta-token", "Bearer reader", "Bearer beta-token"));
}

TEST_F(HttpAdmissionTest, AMissingScopeIsNamed) {
  EXPECT_EQ(Post(Bearer("reader"), CallBody("list_images")).status, 200);
  const std::vector<std::string> running = {
      CallBody("run", {{"command", "true"}, {"image", "tag:busybox:latest"}}), CallBody("set_tag"),
      CallBody("cancel_operation"), CallBody("import_image"),
      absl::StrCat("[", CallBody("list_images"), ",", CallBody("cancel_operation"), "]")};
  for (const std::string& body : running) {
    const std::string version = body[0] == '[' ? "MCP-Protocol-Version: 2025-03-26\r\n" : "";
    const HttpAnswer answer = Post(Bearer("reader") + version, body);
    EXPECT_EQ(answer.status, 403) << body;
    EXPECT_EQ(answer.Header("WWW-Authenticate"),
              R"(Bearer error="insufficient_scope", scope="contree:read contree:run")");
    EXPECT_THAT(answer.body, HasSubstr("contree:run"));
  }
  EXPECT_EQ(ExchangeHttp(transport_->port(), "POST /console/api/tools/cancel_operation",
                         Bearer("reader") + "X-Contree-Console: 1\r\n", "{}")
                .status,
            403);
  for (const char* token : {"runner", "nothing"}) {
    const HttpAnswer answer = Post(Bearer(token), CallBody("list_images"));
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.Header("WWW-Authenticate"),
              R"(Bearer error="insufficient_scope", scope="contree:read")");
    EXPECT_EQ(Get("/console/api/tree", Bearer(token)).status, 403);
  }
  EXPECT_THAT(backend_.service().calls().run, IsEmpty());
  EXPECT_THAT(backend_.service().calls().cancelled, IsEmpty());
}

TEST_F(HttpAdmissionTest, ASessionIsItsTenantsAlone) {
  const HttpAnswer opened =
      Post(Bearer("alpha-token"), InitializeBody("2025-06-18", json::object()));
  ASSERT_EQ(opened.status, 200);
  const std::string session =
      absl::StrCat("Mcp-Session-Id: ", opened.Header("Mcp-Session-Id"), "\r\n");
  const std::string ping = Request(1, "ping", json::object());
  EXPECT_EQ(Post(session + Bearer("alpha-token"), ping).status, 200);
  EXPECT_EQ(Post(session + Bearer("reader"), ping).status, 200);  // of the same tenant
  EXPECT_EQ(Post(session + Bearer("beta-token"), ping).status, 404);
  EXPECT_EQ(
      Post(session + Bearer("beta-token") + "MCP-Protocol-Version: 2025-03-26\r\n", "[]").status,
      404);
  EXPECT_EQ(Get("/mcp", session + Bearer("beta-token") + "Accept: text/event-stream\r\n").status,
            404);
  EXPECT_EQ(Post(session, ping).status, 401);
}

TEST_F(HttpAdmissionTest, SubscriptionsKeepTheTokenOfTheirCaller) {
  backend_.service().AddOperation("op-9");
  const json params = {
      {"notifications", {{"resourceSubscriptions", {"contree://operations/instance/op-9"}}}},
      {"_meta",
       {{"io.modelcontextprotocol/protocolVersion", "2026-07-28"},
        {"io.modelcontextprotocol/clientCapabilities", json::object()}}}};
  const std::string body = Request(1, "subscriptions/listen", params);
  RawClient listener(transport_->port());
  listener.Send(
      HttpHead("POST /mcp",
               "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n" +
                   Bearer("alpha-token"),
               body.size()) +
      body);
  backend_.service().WaitForWatches(1);

  const HttpAnswer opened =
      Post(Bearer("beta-token"), InitializeBody("2025-06-18", json::object()));
  const std::string session =
      absl::StrCat("Mcp-Session-Id: ", opened.Header("Mcp-Session-Id"), "\r\n");
  EXPECT_EQ(Post(session + Bearer("beta-token"),
                 Request(2, "resources/subscribe", {{"uri", "contree://operations/instance/op-9"}}))
                .status,
            200);
  backend_.service().WaitForWatches(2);
  EXPECT_THAT(backend_.service().calls().authorizations,
              ElementsAre("Bearer alpha-token", "Bearer beta-token"));
  transport_->Stop();
}

TEST_F(HttpAdmissionTest, WhoMakesTheTokensIsSaidWhereTheyAreAskedFor) {
  EXPECT_EQ(Get("/.well-known/oauth-protected-resource").status, 404);
  Start({.issuer = "https://issuer.example", .public_url = "https://contree.example/"});
  for (const char* path :
       {"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"}) {
    const HttpAnswer answer = Get(path);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.Json(),
              json({{"resource", "https://contree.example/mcp"},
                    {"authorization_servers", json::array({"https://issuer.example"})},
                    {"scopes_supported", json::array({"contree:read", "contree:run"})},
                    {"bearer_methods_supported", json::array({"header"})},
                    {"resource_name", "ConTree"}}));
  }
  EXPECT_EQ(Get("/.well-known/oauth-protected-resource/other").status, 404);
  EXPECT_EQ(Post("", CallBody("whoami")).Header("WWW-Authenticate"),
            R"(Bearer scope="contree:read contree:run", resource_metadata=)"
            R"("https://contree.example/.well-known/oauth-protected-resource/mcp")");
  EXPECT_THAT(Post(Bearer("wrong"), CallBody("whoami")).Header("WWW-Authenticate"),
              HasSubstr(R"(error="invalid_token")"));
  EXPECT_THAT(Post(Bearer("reader"), CallBody("run")).Header("WWW-Authenticate"),
              HasSubstr("resource_metadata="));
  // Without an address of its own it is what the client said.
  Start({.issuer = "https://issuer.example"});
  EXPECT_THAT(Post("X-Forwarded-Proto: https\r\n", CallBody("whoami")).Header("WWW-Authenticate"),
              HasSubstr("resource_metadata=\"https://localhost/.well-known"));
}

}  // namespace
}  // namespace contree::gateway
