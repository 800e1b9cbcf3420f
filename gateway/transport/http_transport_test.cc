#include "gateway/transport/http_transport.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/testing/raw_client.h"
#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct RawAnswer {
  int status = 0;
  std::string head;
  std::string body;  // chunks and all

  json Json() const { return json::parse(body, nullptr, /*allow_exceptions=*/false); }
};

constexpr char kPing[] = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";
constexpr char kRun[] =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run","arguments":)"
    R"({"command":"echo hi","image":"tag:busybox:latest"}}})";
constexpr char kRunWithProgress[] =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run","arguments":)"
    R"({"command":"echo hi","image":"tag:busybox:latest"},"_meta":{"progressToken":"t"}}})";
constexpr char kBothTypes[] = "Accept: application/json, text/event-stream\r\n";

class HttpTransportTest : public testing::Test {
 protected:
  HttpTransportTest() {
    auto transport = HttpTransport::Start(backend_.server(), {.allowed_hosts = {"mcp.example"}});
    EXPECT_OK(transport);
    transport_ = *std::move(transport);
  }

  static std::string Head(const std::string& line, const std::string& headers, size_t length) {
    return absl::StrCat(
        line, " HTTP/1.1\r\nConnection: close\r\nContent-Length: ", length, "\r\n", headers,
        absl::StrContains(headers, "Host:") ? "" : "Host: localhost\r\n",
        absl::StrContains(headers, "Content-Type:") ? "" : "Content-Type: application/json\r\n",
        "\r\n");
  }
  RawAnswer Send(const std::string& line, const std::string& headers, const std::string& body) {
    RawClient client(transport_->port());
    client.Send(Head(line, headers, body.size()) + body);
    return Read(client.ReadAll());
  }
  RawAnswer Post(const std::string& body, const std::string& headers = kBothTypes) {
    return Send("POST /mcp", headers, body);
  }
  static RawAnswer Read(const std::string& text) {
    RawAnswer answer;
    const size_t end = text.find("\r\n\r\n");
    answer.head = text.substr(0, end);
    if (end != std::string::npos) answer.body = text.substr(end + 4);
    EXPECT_TRUE(absl::SimpleAtoi(answer.head.substr(9, 3), &answer.status)) << text;
    // These tests' answers come in chunks small enough to be put together by hand.
    if (absl::StrContains(answer.head, "Transfer-Encoding: chunked")) {
      std::string joined;
      std::string rest = answer.body;
      while (!rest.empty()) {
        const size_t size = std::stoul(rest, nullptr, 16);
        const size_t begin = rest.find("\r\n") + 2;
        joined += rest.substr(begin, size);
        rest = rest.substr(begin + size + 2);
        if (size == 0) break;
      }
      answer.body = joined;
    }
    return answer;
  }

  FakeBackend backend_;
  std::unique_ptr<HttpTransport> transport_;
};

TEST_F(HttpTransportTest, ARequestIsAnsweredAsJson) {
  const RawAnswer answer = Post(kPing);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("application/json"));
  EXPECT_EQ(answer.Json(), json({{"jsonrpc", "2.0"}, {"id", 1}, {"result", json::object()}}));
}

TEST_F(HttpTransportTest, AWaitingCallWithoutProgressIsAnsweredAsJson) {
  for (const char* accept : {kBothTypes, "Accept: application/json\r\n", "Accept: */*\r\n", ""}) {
    const RawAnswer answer = Post(kRun, accept);
    EXPECT_EQ(answer.status, 200) << accept;
    EXPECT_THAT(answer.head, HasSubstr("application/json"));
    EXPECT_EQ(answer.Json()["result"]["structuredContent"]["stdout"], "echo hi");
  }
}

TEST_F(HttpTransportTest, ACallWithProgressIsAnsweredAsEvents) {
  const RawAnswer answer = Post(kRunWithProgress);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.head, HasSubstr("text/event-stream"));
  EXPECT_THAT(answer.head, HasSubstr("X-Accel-Buffering: no"));
  const std::string progress =
      "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":"
      "{\"progressToken\":\"t\",\"progress\":1,\"message\":\"operation op-1 started\"}}\n\n";
  ASSERT_EQ(answer.body.substr(0, progress.size()), progress);
  const std::string prefix = "event: message\ndata: ";
  const std::string last = answer.body.substr(progress.size());
  ASSERT_EQ(last.substr(0, prefix.size()), prefix);
  const json message = json::parse(last.substr(prefix.size()));
  EXPECT_EQ(message["id"], 1);
  EXPECT_EQ(message["result"]["structuredContent"]["stdout"], "echo hi");
}

TEST_F(HttpTransportTest, AClientThatTakesOnlyJsonGetsNoEvents) {
  const RawAnswer answer = Post(kRunWithProgress, "Accept: application/json\r\n");
  EXPECT_EQ(answer.Json()["result"]["isError"], false);
}

TEST_F(HttpTransportTest, AClientThatTakesOnlyEventsGetsEvents) {
  const RawAnswer answer = Post(kPing, "Accept: text/event-stream\r\n");
  EXPECT_EQ(answer.body, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n");
}

TEST_F(HttpTransportTest, ProgressArrivesWhileTheCallRuns) {
  backend_.service().HoldOperations();
  RawClient client(transport_->port());
  const std::string body = kRunWithProgress;
  client.Send(Head("POST /mcp", kBothTypes, body.size()) + body);
  EXPECT_THAT(client.ReadUntil("op-1 started\"}}\n\n"), HasSubstr("\"progress\":1"));
  contree::v1::OperationEvent event;
  event.mutable_output()->set_data("half way\n");
  backend_.service().Emit("op-1", event);
  EXPECT_THAT(client.ReadUntil("half way\"}}\n\n"), HasSubstr("\"progress\":2"));
  contree::v1::Operation record;
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  backend_.service().Complete("op-1", record);
  EXPECT_THAT(client.ReadAll(), HasSubstr("\"state\":\"SUCCESS\""));
}

TEST_F(HttpTransportTest, AClientThatLeavesCancelsNothing) {
  backend_.service().HoldOperations();
  for (const char* body : {kRun, kRunWithProgress}) {
    RawClient client(transport_->port());
    client.Send(Head("POST /mcp", kBothTypes, std::string(body).size()) + body);
    backend_.service().WaitForWatches(body == kRun ? 1 : 2);
    client.Close();
  }
  transport_->Stop();  // returns only when nobody waits any more
  EXPECT_TRUE(backend_.service().calls().cancelled.empty());
}

TEST_F(HttpTransportTest, StoppingEndsCallsThatWait) {
  backend_.service().HoldOperations();
  RawClient client(transport_->port());
  client.Send(Head("POST /mcp", kBothTypes, std::string(kRun).size()) + kRun);
  backend_.service().WaitForWatches(1);
  transport_->Stop();
  EXPECT_TRUE(backend_.service().calls().cancelled.empty());
}

TEST_F(HttpTransportTest, StoppingEndsCallsThatHangOnceTheGraceIsOver) {
  auto transport = HttpTransport::Start(backend_.server(), {.grace = absl::Milliseconds(1)});
  ASSERT_OK(transport);
  backend_.service().HangNextGetImage();
  RawClient client((*transport)->port());
  const std::string body =
      R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_image",)"
      R"("arguments":{"image":"x"}}})";
  client.Send(Head("POST /mcp", kBothTypes, body.size()) + body);
  backend_.service().WaitForHangingCall();
  (*transport)->Stop();
  EXPECT_THAT(client.ReadAll(), HasSubstr("The call was ended before it was done"));
}

TEST_F(HttpTransportTest, ASilentStreamIsKeptAlive) {
  auto transport = HttpTransport::Start(backend_.server(), {.keep_alive = absl::Milliseconds(1)});
  ASSERT_OK(transport);
  backend_.service().HoldOperations();
  RawClient client((*transport)->port());
  const std::string body = kRunWithProgress;
  client.Send(Head("POST /mcp", kBothTypes, body.size()) + body);
  EXPECT_THAT(client.ReadUntil(": keep-alive\n\n"), HasSubstr(": keep-alive\n\n"));
}

TEST_F(HttpTransportTest, NotificationsAndResponsesAreAcceptedWithAnEmptyBody) {
  for (const char* body : {R"({"jsonrpc":"2.0","method":"notifications/initialized"})",
                           R"({"jsonrpc":"2.0","id":1,"result":{}})"}) {
    const RawAnswer answer = Post(body);
    EXPECT_EQ(answer.status, 202);
    EXPECT_EQ(answer.body, "");
  }
}

TEST_F(HttpTransportTest, WhatIsNoMessageIsABadRequest) {
  const RawAnswer malformed = Post("{");
  EXPECT_EQ(malformed.status, 400);
  EXPECT_EQ(malformed.Json()["error"]["code"], -32700);
  const RawAnswer batch =
      Post(absl::StrCat("[", kPing, "]"), "MCP-Protocol-Version: 2025-06-18\r\n");
  EXPECT_EQ(batch.status, 400);
  EXPECT_EQ(batch.Json()["error"]["code"], -32600);
  EXPECT_EQ(Post("").status, 400);
}

TEST_F(HttpTransportTest, ProtocolErrorsOfARequestAreAnswers) {
  const RawAnswer answer = Post(R"({"jsonrpc":"2.0","id":1,"method":"no/such"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.Json()["error"]["code"], -32601);
}

TEST_F(HttpTransportTest, ForeignOriginsAndHostsAreForbiddenEachByItself) {
  const auto status = [this](const std::string& headers) {
    return Post(kPing, kBothTypes + headers).status;
  };
  EXPECT_EQ(status("Origin: http://evil.example\r\n"), 403);
  EXPECT_EQ(status("Origin: null\r\n"), 403);
  EXPECT_EQ(status("Host: evil.example\r\n"), 403);
  EXPECT_EQ(status("Host: localhost\r\nOrigin: http://localhost:5173\r\n"), 200);
  EXPECT_EQ(status("Host: mcp.example\r\nOrigin: https://mcp.example\r\n"), 200);
}

TEST_F(HttpTransportTest, TheProtocolVersionHasToBeKnownWhereItIsGiven) {
  EXPECT_EQ(Post(kPing, "MCP-Protocol-Version: 2025-06-18\r\n").status, 200);
  const RawAnswer answer = Post(kPing, "MCP-Protocol-Version: 1999-01-01\r\n");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.Json()["error"]["message"].get<std::string>(), HasSubstr("1999-01-01"));
}

TEST_F(HttpTransportTest, OnlyPostIsAllowed) {
  for (const char* method : {"GET", "DELETE", "PUT", "OPTIONS"}) {
    const RawAnswer answer = Send(absl::StrCat(method, " /mcp"), kBothTypes, "");
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_THAT(answer.head, HasSubstr("Allow: POST")) << method;
  }
}

TEST_F(HttpTransportTest, TypesThatAreNotSpokenAreRefused) {
  EXPECT_EQ(Post(kPing, "Content-Type: text/plain\r\n").status, 415);
  EXPECT_EQ(Post(kPing, "Content-Type: Application/JSON; charset=utf-8\r\n").status, 200);
  EXPECT_EQ(Post(kPing, "Accept: text/html\r\n").status, 406);
  EXPECT_EQ(Post(kPing, "Accept: application/json;q=0\r\n").status, 406);
}

TEST_F(HttpTransportTest, ABodyThatIsTooLargeIsRefused) {
  const RawAnswer answer = Post(std::string(16 * 1024 * 1024 + 1, ' '));
  EXPECT_EQ(answer.status, 413);
}

TEST_F(HttpTransportTest, HealthIsThereAndNothingElse) {
  EXPECT_EQ(Send("GET /healthz", "Host: 10.0.0.7:9452\r\n", "").status, 200);
  EXPECT_EQ(Send("GET /", "", "").status, 404);
  EXPECT_EQ(Send("POST /mcp/more", kBothTypes, kPing).status, 404);
}

}  // namespace
}  // namespace contree::gateway
