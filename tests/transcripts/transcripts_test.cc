// Plays every transcript of this folder to the real contree-mcp.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "standalone/mcp_stdio_client.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"
#include "tests/transcripts/transcript.h"

namespace contree::transcripts {
namespace {

using nlohmann::json;
using standalone::McpStdioClient;
using testing_harness::McpHttpClient;
using testing_harness::Program;
using testing_harness::ServerProcess;

constexpr char kFolder[] = "tests/transcripts";
constexpr absl::Duration kTimeout = absl::Seconds(60);
constexpr char kMetaVersion[] = "io.modelcontextprotocol/protocolVersion";

// The files by name, without their ending.
std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<Transcript> Read(const std::string& name) {
  std::ifstream file(absl::StrCat(kFolder, "/", name, ".txt"));
  std::stringstream text;
  text << file.rdbuf();
  return ParseTranscript(text.str());
}

// Takes away one of `expected` that `message` is. Says of each why it is not, if none is.
std::string TakeExpected(std::vector<json>& expected, const json& message) {
  std::string mismatches;
  for (auto it = expected.begin(); it != expected.end(); ++it) {
    const std::optional<std::string> mismatch = MatchJson(*it, message);
    if (!mismatch.has_value()) {
      expected.erase(it);
      return "";
    }
    absl::StrAppend(&mismatches, *mismatch, "\n");
  }
  return absl::StrCat("came: ", message.dump(), "\n", mismatches);
}

// The messages of an answer, as JSON or as events.
std::vector<json> MessagesOf(const HttpResponse& response) {
  std::vector<json> messages;
  if (response.Header("Content-Type").value_or("") != "text/event-stream") {
    if (!response.body.empty()) messages.push_back(json::parse(response.body, nullptr, false));
    return messages;
  }
  for (absl::string_view line : absl::StrSplit(response.body, '\n')) {
    if (absl::ConsumePrefix(&line, "data: ")) messages.push_back(json::parse(line, nullptr, false));
  }
  return messages;
}

// A client over HTTP, as far as headers go: what a session's answers told it, and what 2026-07-28
// asks for.
class HttpConversation {
 public:
  explicit HttpConversation(const std::string& url) : client_(url) {}

  absl::StatusOr<HttpResponse> Play(const Exchange& exchange) {
    const std::string& body = exchange.sent.front();
    HttpRequest request{.method = exchange.method, .target = "/mcp"};
    request.headers = {{"Accept", "application/json, text/event-stream"}};
    if (exchange.method == "POST") {
      request.body = body;
      request.content_type = "application/json";
    }
    AddHeadersOf(json::parse(body, nullptr, false), request.headers);
    for (const auto& [name, value] : exchange.headers) {
      std::erase_if(request.headers, [&name = name](const auto& header) {
        return absl::EqualsIgnoreCase(header.first, name);
      });
      if (absl::EqualsIgnoreCase(name, "Content-Type")) {
        request.content_type = value.value_or("");
      } else if (value.has_value()) {
        request.headers.emplace_back(name, *value);
      }
    }
    absl::StatusOr<HttpResponse> response = client_.Exchange(request);
    if (response.ok()) Learn(*response);
    return response;
  }

 private:
  void AddHeadersOf(const json& message, HttpHeaders& headers) const {
    const json::json_pointer version = json::json_pointer("/params/_meta") / kMetaVersion;
    if (message.is_object() && message.contains(version) && message.at(version).is_string()) {
      headers.emplace_back("MCP-Protocol-Version", message.at(version));
      headers.emplace_back("Mcp-Method", message.value("method", ""));
      for (const char* member : {"name", "uri"}) {
        const json& params = message.at("params");
        if (params.contains(member)) headers.emplace_back("Mcp-Name", params.value(member, ""));
      }
      return;
    }
    if (!session_id_.empty()) headers.emplace_back("Mcp-Session-Id", session_id_);
    if (!version_.empty()) headers.emplace_back("MCP-Protocol-Version", version_);
  }

  void Learn(const HttpResponse& response) {
    if (const auto id = response.Header("Mcp-Session-Id")) session_id_ = *id;
    const json::json_pointer version("/result/protocolVersion");
    for (const json& message : MessagesOf(response)) {
      if (message.contains(version)) version_ = message.at(version);
    }
  }

  McpHttpClient client_;
  std::string session_id_;
  std::string version_;
};

class TranscriptsTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    state_ = std::make_unique<TempDirectory>();
    auto server = ServerProcess::Start({Program("standalone/contree-mcp"), "--local", "--mode",
                                        "http", "--http-port", "0", "--state-dir", state_->path()});
    ASSERT_OK(server);
    server_ = *std::move(server);
    ASSERT_OK_AND_ASSIGN(url_, server_->WaitForLogField("mcp"));
  }
  static void TearDownTestSuite() {
    server_->Signal(SIGTERM);
    EXPECT_THAT(server_->Wait(), testing::Eq(absl::StatusOr<int>(0))) << server_->Output();
    server_ = nullptr;
    state_ = nullptr;
  }

  static void PlayOverStdio(const Transcript& transcript) {
    ASSERT_OK_AND_ASSIGN(const auto client,
                         McpStdioClient::Start({Program("standalone/contree-mcp"), "--local",
                                                "--mode", "stdio", "--state-dir", state_->path()}));
    for (const Exchange& exchange : transcript.exchanges) {
      SCOPED_TRACE(absl::StrCat("line ", exchange.line));
      for (const std::string& message : exchange.sent) ASSERT_OK(client->SendRaw(message));
      std::vector<json> expected = exchange.expected;
      while (!expected.empty()) {
        ASSERT_OK_AND_ASSIGN(const json message, client->Receive(kTimeout));
        ASSERT_EQ(TakeExpected(expected, message), "");
      }
    }
    // Nothing else comes: whatever was sent before is answered before the end.
    ASSERT_OK(client->SendRaw(R"({"jsonrpc":"2.0","id":"the end","method":"no/such/method"})"));
    ASSERT_OK_AND_ASSIGN(const json message, client->Receive(kTimeout));
    EXPECT_EQ(message.value("id", json()), "the end") << message;
    EXPECT_THAT(client->CloseAndWait(kTimeout), testing::Eq(absl::StatusOr<int>(0)));
  }

  static void PlayOverHttp(const Transcript& transcript) {
    HttpConversation conversation(url_);
    for (const Exchange& exchange : transcript.exchanges) {
      SCOPED_TRACE(absl::StrCat("line ", exchange.line));
      ASSERT_OK_AND_ASSIGN(const HttpResponse response, conversation.Play(exchange));
      EXPECT_EQ(response.status, exchange.status.value_or(exchange.expected.empty() ? 202 : 200))
          << response.body;
      std::vector<json> expected = exchange.expected;
      for (const json& message : MessagesOf(response)) {
        ASSERT_EQ(TakeExpected(expected, message), "");
      }
      EXPECT_TRUE(expected.empty()) << "missing: " << json(expected).dump();
    }
  }

 private:
  static std::unique_ptr<TempDirectory> state_;
  static std::unique_ptr<ServerProcess> server_;
  static std::string url_;
};

std::unique_ptr<TempDirectory> TranscriptsTest::state_;
std::unique_ptr<ServerProcess> TranscriptsTest::server_;
std::string TranscriptsTest::url_;

TEST_P(TranscriptsTest, IsAnsweredAsWritten) {
  ASSERT_OK_AND_ASSIGN(const Transcript transcript, Read(GetParam()));
  SCOPED_TRACE(transcript.guards);
  if (transcript.over_stdio) PlayOverStdio(transcript);
  if (transcript.over_http) PlayOverHttp(transcript);
}

INSTANTIATE_TEST_SUITE_P(All, TranscriptsTest, testing::ValuesIn(Names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace contree::transcripts
