#include "gateway/transport/stdio_transport.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/files/unique_fd.h"
#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"
#include "gateway/transport/line_io.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::pair<UniqueFd, UniqueFd> MakePipe() {
  std::array<int, 2> fds = {-1, -1};
  EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string Request(const json& id, const std::string& method, const json& params) {
  return json({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}).dump();
}

std::string RunRequest(const json& id, const std::string& command) {
  return Request(id, "tools/call",
                 {{"name", "run"},
                  {"arguments", {{"command", command}, {"image", "tag:busybox:latest"}}},
                  {"_meta", {{"progressToken", id}}}});
}

// A client at the other end of two pipes.
class Client {
 public:
  explicit Client(const McpServer& server, StdioTransportOptions options = {}) {
    auto [input, to_server] = MakePipe();
    auto [from_server, output] = MakePipe();
    to_server_ = std::move(to_server);
    from_server_ = std::move(from_server);
    auto reader = LineReader::Create(from_server_.get(), 64 * 1024 * 1024);
    EXPECT_OK(reader);
    reader_.emplace(*std::move(reader));
    options.input_fd = input.get();
    options.output_fd = output.get();
    transport_ = std::jthread([this, &server, options, input = std::move(input),
                               output = std::move(output)](const std::stop_token& stop) {
      status_ = RunStdioTransport(server, options, stop);
    });
  }

  void Send(std::string line) {
    line.push_back('\n');
    ASSERT_EQ(write(to_server_.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  void SendUnended(const std::string& text) {
    ASSERT_EQ(write(to_server_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // The next message; null: the output ended.
  json Receive() {
    const auto line = reader_->Next(std::stop_token());
    return line.ok() && line->has_value() ? json::parse((*line)->begin(), (*line)->end()) : json();
  }
  void EndInput() { to_server_.Reset(); }
  void CloseOutput() { from_server_.Reset(); }
  void Stop() { transport_.request_stop(); }
  absl::Status Join() {
    transport_.join();
    return status_;
  }

 private:
  UniqueFd to_server_;
  UniqueFd from_server_;
  std::optional<LineReader> reader_;
  absl::Status status_;
  std::jthread transport_;
};

// Whether `actual` has all that `expected` has.
bool Includes(const json& actual, const json& expected) {
  if (!expected.is_object()) return actual == expected;
  if (!actual.is_object()) return false;
  for (const auto& [name, value] : expected.items()) {
    if (!actual.contains(name) || !Includes(actual[name], value)) return false;
  }
  return true;
}

// "> " is sent, "< " is the next answer, or what it includes; "#" is a comment.
void Replay(const std::string& path) {
  FakeBackend backend;
  Client client(backend.server());
  std::ifstream file(path);
  ASSERT_TRUE(file.good()) << path;
  std::string line;
  int answers = 0;
  while (std::getline(file, line)) {
    if (line.rfind("> ", 0) == 0) client.Send(line.substr(2));
    if (line.rfind("< ", 0) != 0) continue;
    const json answer = client.Receive();
    EXPECT_TRUE(Includes(answer, json::parse(line.substr(2)))) << line << "\n  got " << answer;
    ++answers;
  }
  EXPECT_GT(answers, 0);
  client.EndInput();
  EXPECT_TRUE(client.Receive().is_null()) << "more answers than in " << path;
  EXPECT_OK(client.Join());
}

TEST(StdioTransportTest, ReplaysTheHandshake) {
  Replay("gateway/transport/testdata/handshake.transcript");
}

TEST(StdioTransportTest, ReplaysBadInput) {
  Replay("gateway/transport/testdata/bad_input.transcript");
}

TEST(StdioTransportTest, ALongCallDelaysNobody) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server());
  for (int i = 0; i < 20; ++i) client.Send(RunRequest(i, "sleep"));
  backend.service().WaitForWatches(20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Receive()["method"], "notifications/progress");
  client.Send(Request("p", "ping", json::object()));
  EXPECT_EQ(client.Receive()["id"], "p");
  client.Send(Request("g", "tools/call",
                      {{"name", "get_operation"}, {"arguments", {{"operation_id", "op-7"}}}}));
  const json answer = client.Receive();
  EXPECT_EQ(answer["id"], "g");
  EXPECT_EQ(answer["result"]["structuredContent"]["state"], "EXECUTING");
  client.EndInput();
  EXPECT_OK(client.Join());
}

TEST(StdioTransportTest, AnswersLeaveAsTheyAreReady) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server());
  client.Send(RunRequest("slow", "x"));
  backend.service().WaitForWatches(1);
  client.Send(RunRequest("quick", "x"));
  backend.service().WaitForWatches(2);
  EXPECT_EQ(client.Receive()["params"]["progressToken"], "slow");
  EXPECT_EQ(client.Receive()["params"]["progressToken"], "quick");
  contree::v1::Operation record;
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  backend.service().Complete("op-2", record);
  EXPECT_EQ(client.Receive()["id"], "quick");
  backend.service().Complete("op-1", record);
  EXPECT_EQ(client.Receive()["id"], "slow");
}

TEST(StdioTransportTest, ACancelledCallGetsNoAnswer) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server());
  client.Send(RunRequest(5, "sleep"));
  EXPECT_EQ(client.Receive()["method"], "notifications/progress");
  client.Send(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}})");
  backend.service().WaitForCancellations(1);
  client.Send(Request(6, "ping", json::object()));
  EXPECT_EQ(client.Receive()["id"], 6);
  client.EndInput();
  EXPECT_TRUE(client.Receive().is_null());
  EXPECT_OK(client.Join());
}

TEST(StdioTransportTest, ACallOfASecondBeforeTheEndIsStillAnswered) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server(), {.grace = absl::InfiniteDuration()});
  client.Send(RunRequest(1, "x"));
  client.EndInput();
  EXPECT_EQ(client.Receive()["method"], "notifications/progress");
  contree::v1::Operation record;
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  backend.service().Complete("op-1", record);
  EXPECT_EQ(client.Receive()["result"]["isError"], false);
  EXPECT_OK(client.Join());
}

TEST(StdioTransportTest, TheEndOfInputEndsWaitingButNotOperations) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server(), {.grace = absl::ZeroDuration()});
  client.Send(RunRequest(1, "sleep"));
  backend.service().WaitForWatches(1);
  client.EndInput();
  EXPECT_OK(client.Join());
  EXPECT_TRUE(backend.service().calls().cancelled.empty());
}

TEST(StdioTransportTest, AStopEndsItThoughTheInputGoesOn) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server(), {.grace = absl::ZeroDuration()});
  client.Send(RunRequest(1, "sleep"));
  backend.service().WaitForWatches(1);
  client.Stop();
  EXPECT_OK(client.Join());
}

TEST(StdioTransportTest, AMessageThatIsTooLargeIsRefusedAndTheNextOneAnswered) {
  FakeBackend backend;
  Client client(backend.server());
  const std::string piece(1024 * 1024, 'x');
  client.SendUnended(R"({"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":")");
  for (int i = 0; i < 17; ++i) client.SendUnended(piece);
  client.Send("\"}}");
  client.Send(Request(2, "ping", json::object()));
  const json refusal = client.Receive();
  EXPECT_EQ(refusal["error"]["code"], -32600);
  EXPECT_THAT(refusal["error"]["message"].get<std::string>(), HasSubstr("16777216"));
  EXPECT_EQ(client.Receive()["id"], 2);
}

TEST(StdioTransportTest, ALargeMessageArrivesWhole) {
  FakeBackend backend;
  Client client(backend.server());
  const std::string command(3 * 1024 * 1024, 'x');
  client.Send(RunRequest(1, command));
  EXPECT_EQ(client.Receive()["method"], "notifications/progress");
  EXPECT_EQ(client.Receive()["result"]["structuredContent"]["stdout"], command);
}

TEST(StdioTransportTest, ACallTooManyIsRefused) {
  FakeBackend backend;
  backend.service().HoldOperations();
  Client client(backend.server(), {.max_calls = 1, .grace = absl::ZeroDuration()});
  client.Send(RunRequest(1, "sleep"));
  EXPECT_EQ(client.Receive()["method"], "notifications/progress");
  client.Send(RunRequest(2, "sleep"));
  const json refusal = client.Receive();
  EXPECT_EQ(refusal["id"], 2);
  EXPECT_THAT(refusal["error"]["message"].get<std::string>(), HasSubstr("too many calls"));
}

TEST(StdioTransportTest, BlankLinesAreNoMessages) {
  FakeBackend backend;
  Client client(backend.server());
  client.Send("");
  client.Send(" \t\r");
  client.Send(Request(1, "ping", json::object()) + "\r");
  EXPECT_EQ(client.Receive()["id"], 1);
}

}  // namespace
}  // namespace contree::gateway
