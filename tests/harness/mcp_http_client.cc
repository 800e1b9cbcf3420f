#include "tests/harness/mcp_http_client.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/http/httplib_http_client.h"
#include "common/status/status_macros.h"
#include "gtest/gtest.h"

namespace contree::testing_harness {
namespace {
constexpr size_t kMaxAnswerBytes = 64 << 20;
constexpr absl::Duration kTimeout = absl::Seconds(60);
}  // namespace

McpHttpClient::McpHttpClient(const std::string& url, const std::string& bearer_token)
    : bearer_token_(bearer_token) {
  auto client =
      HttplibHttpClient::Create({.base_url = std::string(absl::StripSuffix(url, "/mcp"))});
  EXPECT_TRUE(client.ok()) << client.status();
  if (client.ok()) client_ = *std::move(client);
}

absl::StatusOr<HttpResponse> McpHttpClient::Exchange(const HttpRequest& request) {
  HttpRequest sent = request;
  if (!bearer_token_.empty())
    sent.headers.emplace_back("Authorization", absl::StrCat("Bearer ", bearer_token_));
  return SendHttp(*client_, sent, NewCallContext(kTimeout), kMaxAnswerBytes);
}

absl::StatusOr<HttpResponse> McpHttpClient::Post(const std::string& body,
                                                 const HttpHeaders& more_headers) {
  HttpRequest request{.method = "POST",
                      .target = "/mcp",
                      .headers = {{"Accept", "application/json, text/event-stream"},
                                  {"MCP-Protocol-Version", "2025-06-18"}},
                      .body = body,
                      .content_type = "application/json"};
  request.headers.insert(request.headers.end(), more_headers.begin(), more_headers.end());
  return Exchange(request);
}

absl::StatusOr<nlohmann::json> McpHttpClient::CallTool(const std::string& name,
                                                       const nlohmann::json& arguments) {
  const nlohmann::json message = {{"jsonrpc", "2.0"},
                                  {"id", 1},
                                  {"method", "tools/call"},
                                  {"params", {{"name", name}, {"arguments", arguments}}}};
  ASSIGN_OR_RETURN(const HttpResponse response, Post(message.dump()));
  const auto answer = nlohmann::json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("result")) {
    return absl::InvalidArgumentError(absl::StrCat("HTTP ", response.status, ": ", response.body));
  }
  return answer["result"];
}

}  // namespace contree::testing_harness
