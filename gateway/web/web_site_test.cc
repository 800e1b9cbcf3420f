// The pages and the console's API over real HTTP, with the real tools behind them.

#include "gateway/web/web_site.h"

#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "common/http/httplib_http_client.h"
#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr char kOldUuid[] = "95ba4f1b-a511-425b-8a3e-000000000002";
constexpr char kLostUuid[] = "95ba4f1b-a511-425b-8a3e-000000000003";

class WebSiteTest : public ::testing::Test {
 protected:
  WebSiteTest()
      : site_({backend_.tools(), backend_.resources(), backend_.prompts(), backend_.completions()},
              backend_.services()) {
    auto server = HttpServer::Start({}, [this](HttpExchange& exchange) {
      if (!site_.Handle(exchange, admission_)) exchange.Respond(404);
    });
    EXPECT_OK(server);
    server_ = *std::move(server);
    HttplibHttpClientOptions options;
    options.base_url = server_->url();
    auto client = HttplibHttpClient::Create(options);
    EXPECT_OK(client);
    client_ = *std::move(client);
  }

  HttpResponse Send(const std::string& method, const std::string& target,
                    const HttpHeaders& headers = {}, const std::string& body = "") {
    HttpRequest request;
    request.method = method;
    request.target = target;
    request.headers = headers;
    request.body = body;
    if (method == "POST") request.content_type = "application/json";
    const auto response =
        SendHttp(*client_, request, NewCallContext(absl::Seconds(20)), 10'000'000);
    EXPECT_OK(response);
    return response.ok() ? *response : HttpResponse();
  }
  HttpResponse Get(const std::string& target) { return Send("GET", target); }

  FakeBackend backend_;
  const WebSite site_;
  const HttpAdmission admission_{{}};
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttplibHttpClient> client_;
};

TEST_F(WebSiteTest, TheReferenceIsMadeFromTheTables) {
  const HttpResponse page = Get("/");
  EXPECT_EQ(page.status, 200);
  const json tools = json::parse(backend_.tools().ListJson());
  for (const json& tool : tools["tools"]) {
    EXPECT_THAT(page.body, HasSubstr("id=\"tool-" + tool["name"].get<std::string>() + "\""));
  }
  EXPECT_THAT(page.body, HasSubstr(server_->url() + "/mcp"));
  EXPECT_THAT(page.body, HasSubstr("contree://image/{image}/lineage"));
  EXPECT_THAT(page.body, Not(HasSubstr("style=")));
  EXPECT_THAT(page.body, Not(HasSubstr("<script>")));
}

TEST_F(WebSiteTest, WhatTheReaderSentIsTextInThePage) {
  EXPECT_THAT(Send("GET", "/", {{"X-Forwarded-Proto", "https"}}).body, HasSubstr("https://127"));
  EXPECT_THAT(Send("GET", "/", {{"X-Forwarded-Proto", "\"><b>"}}).body, HasSubstr("http://127"));
}

TEST_F(WebSiteTest, UnknownPathsAreNotItsOwn) {
  EXPECT_EQ(Get("/assets/none.js").status, 404);
  EXPECT_EQ(Send("POST", "/").status, 404);
  EXPECT_EQ(Get("/console/api/none").status, 404);
}

TEST_F(WebSiteTest, TheTreeHoldsImagesWithTheirOriginsAndLostAncestors) {
  contree::v1::Image image;
  image.set_uuid(kOldUuid);
  image.set_operation_id("op-9");
  backend_.service().AddImage(image);
  contree::v1::ImageOrigin origin;
  origin.set_image(kOldUuid);
  origin.set_parent(kLostUuid);
  origin.set_command("make install");
  origin.set_principal("alice");
  origin.set_exit_code(2);
  origin.set_operation_id("op-9");
  origin.set_layer_bytes(4096);
  backend_.service().AddOrigin(origin);
  const HttpResponse response = Get("/console/api/tree");
  EXPECT_EQ(response.status, 200);
  const json tree = json::parse(response.body);
  EXPECT_EQ(tree["truncated"], false);
  std::map<std::string, json> by_uuid;
  for (const json& shown : tree["images"]) by_uuid[shown["uuid"]] = shown;
  ASSERT_EQ(by_uuid.size(), 3);
  EXPECT_EQ(by_uuid[kBusyboxUuid]["tag"], "busybox:latest");
  EXPECT_EQ(by_uuid[kOldUuid]["parent"], kLostUuid);
  EXPECT_EQ(by_uuid[kOldUuid]["command"], "make install");
  EXPECT_EQ(by_uuid[kOldUuid]["principal"], "alice");
  EXPECT_EQ(by_uuid[kOldUuid]["exit_code"], 2);
  EXPECT_EQ(by_uuid[kOldUuid]["layer_bytes"], 4096);
  EXPECT_EQ(by_uuid[kLostUuid]["is_gone"], true);
}

TEST_F(WebSiteTest, OutputIsSentAsItComes) {
  backend_.service().AddOperation("op-7");
  contree::v1::OperationEvent output;
  output.mutable_output()->set_stream(contree::v1::OperationEvent::STREAM_STDERR);
  output.mutable_output()->set_data("a\xff");
  backend_.service().Emit("op-7", output);
  const std::jthread ends([this] {
    backend_.service().WaitForWatches(1);
    contree::v1::Operation record;
    record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
    record.set_command("sleep 1");
    backend_.service().Complete("op-7", record);
  });
  const HttpResponse response = Get("/console/api/operations/op-7/events");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body,
              HasSubstr("event: output\ndata: {\"stream\":\"stderr\",\"base64\":\"Yf8=\"}\n\n"));
  EXPECT_THAT(response.body, HasSubstr("event: completed\n"));
  EXPECT_THAT(response.body, HasSubstr("\"command\":\"sleep 1\""));
}

TEST_F(WebSiteTest, FollowingWhatIsNotThereSaysSo) {
  EXPECT_THAT(Get("/console/api/operations/none/events").body,
              testing::AllOf(HasSubstr("event: failed\n"), HasSubstr("none")));
}

TEST_F(WebSiteTest, NamesThatAreNotUtf8AreRefused) {
  for (const char* target : {"/console/api/file?image=tag:busybox:latest&path=/%84",
                             "/console/api/file?image=%84&path=/", "/console/api/operations/%84",
                             "/console/api/operations/%84/events"}) {
    EXPECT_EQ(Get(target).status, 400) << target;
    EXPECT_THAT(Get(target).body, HasSubstr("UTF-8")) << target;
  }
}

TEST_F(WebSiteTest, FilesAreSavedNotShown) {
  backend_.service().AddFile("/a/page.html", "<script>alert(1)</script>");
  const HttpResponse file = Get("/console/api/file?image=tag:busybox:latest&path=/a/page.html");
  EXPECT_EQ(file.status, 200);
  EXPECT_EQ(file.body, "<script>alert(1)</script>");
  const HttpResponse start =
      Get("/console/api/file?image=tag:busybox:latest&path=/a/page.html&max=7");
  EXPECT_EQ(start.body, "<script");
  const HttpResponse missing = Get("/console/api/file?image=tag:busybox:latest&path=/none");
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(json::parse(missing.body)["error"]["message"].get<std::string>(), HasSubstr("/none"));
  EXPECT_EQ(Get("/console/api/file?image=tag:busybox:latest&path=/a/page.html&max=x").status, 400);
}

TEST_F(WebSiteTest, OnlyTheConsoleItselfMayAct) {
  const std::string target = "/console/api/tools/cancel_operation";
  backend_.service().AddOperation("op-7");
  const std::string body = R"({"operation_id":"op-7"})";
  EXPECT_EQ(Send("POST", target, {}, body).status, 403);
  EXPECT_EQ(
      Send("POST", target, {{"X-Contree-Console", "1"}, {"Sec-Fetch-Site", "cross-site"}}, body)
          .status,
      403);
  const HttpResponse done =
      Send("POST", target, {{"X-Contree-Console", "1"}, {"Sec-Fetch-Site", "same-origin"}}, body);
  EXPECT_EQ(done.status, 200);
  EXPECT_EQ(json::parse(done.body)["structuredContent"]["cancelled"], true);
}

TEST_F(WebSiteTest, ToolsThatTheConsoleDoesNotNeedAreNotThere) {
  EXPECT_EQ(Send("POST", "/console/api/tools/run", {{"X-Contree-Console", "1"}}, "{}").status, 404);
  EXPECT_EQ(Send("POST", "/console/api/tools/whoami", {{"X-Contree-Console", "1"}}, "[").status,
            400);
}

TEST_F(WebSiteTest, AFailingServiceIsSaidInPlainWords) {
  backend_.service().FailCalls(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the platform is away"));
  const HttpResponse response = Get("/console/api/operations");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(json::parse(response.body)["error"]["message"], "the platform is away");
}

}  // namespace
}  // namespace contree::gateway
