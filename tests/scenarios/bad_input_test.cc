// What contree-mcp answers to input that is wrong, on both transports: an error that says what to
// mend, and the session goes on as if nothing had happened.

#include <signal.h>

#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "tests/harness/desk.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class BadInputTest : public DeskTest {
 protected:
  // Sends a line and returns the error's code of the answer.
  static int CodeOf(const std::string& line) {
    EXPECT_OK(session().SendRaw(line));
    const absl::StatusOr<json> answer = session().Receive(kAnswerTimeout);
    EXPECT_OK(answer) << line;
    if (!answer.ok() || !answer->contains("error")) return 0;
    EXPECT_FALSE(answer->at("error").at("message").get<std::string>().empty());
    return answer->at("error").at("code");
  }
};

TEST_F(BadInputTest, JsonRpcErrorsHaveTheirCodes) {
  EXPECT_EQ(CodeOf("{\"jsonrpc\":\"2.0\",\"id\":1,"), -32700);
  EXPECT_EQ(CodeOf("\xff\xfe"), -32700);
  EXPECT_EQ(CodeOf("[]"), -32600);
  EXPECT_EQ(CodeOf(R"({"jsonrpc":"1.0","id":1,"method":"ping"})"), -32600);
  EXPECT_EQ(CodeOf(R"({"jsonrpc":"2.0","id":1,"method":"no/such/method"})"), -32601);
  EXPECT_EQ(
      CodeOf(R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"no_such_tool"}})"),
      -32602);
  EXPECT_EQ(CodeOf(R"({"jsonrpc":"2.0","id":1,"method":"tools/call"})"), -32602);
  EXPECT_EQ(Run("echo 'still there'").at("stdout"), "still there\n");
}

TEST_F(BadInputTest, WrongArgumentsAreNamedWithWhatToMend) {
  EXPECT_THAT(CallForError("run", {{"image", kBusybox}}), HasSubstr("command"));
  EXPECT_THAT(CallForError("run", {{"command", "true"}}), HasSubstr("image"));
  EXPECT_THAT(CallForError("run", {{"command", 5}, {"image", kBusybox}}), HasSubstr("command"));
  EXPECT_THAT(CallForError("run", {{"command", "true"}, {"image", kBusybox}, {"timeout", "30"}}),
              AllOf(HasSubstr("timeout"), HasSubstr("30")));
  EXPECT_THAT(CallForError("run", {{"command", "true"}, {"image", kBusybox}, {"timeout", 3601}}),
              AllOf(HasSubstr("timeout"), HasSubstr("3600")));
  EXPECT_THAT(CallForError("run", {{"command", "true"}, {"image", kBusybox}, {"env", {{"A", 1}}}}),
              HasSubstr("env"));
  EXPECT_THAT(CallForError("run", {{"command", "true"}, {"image", kBusybox}, {"comand", "x"}}),
              HasSubstr("comand"));
  EXPECT_THAT(CallForError("list_images", {{"limit", 1001}}),
              AllOf(HasSubstr("limit"), HasSubstr("1000")));
  EXPECT_THAT(CallForError("wait_operations", {{"operation_ids", json::array()}}),
              HasSubstr("operation_ids"));
  EXPECT_THAT(CallForError("get_operation", {{"operation_id", "not-an-id"}}),
              HasSubstr("not-an-id"));
  EXPECT_THAT(CallForError("read_file", {{"image", kBusybox}, {"path", ""}}), HasSubstr("path"));
}

TEST_F(BadInputTest, OmittedAndNullArgumentsAreFine) {
  const absl::StatusOr<json> omitted =
      session().Request("tools/call", {{"name", "list_images"}}, kAnswerTimeout);
  ASSERT_OK(omitted);
  EXPECT_TRUE(omitted->contains("result")) << *omitted;
  EXPECT_EQ(Run("echo x", {{"env", nullptr}, {"cwd", nullptr}, {"stdin", nullptr}}).at("stdout"),
            "x\n");
}

TEST_F(BadInputTest, TheSameOverHttp) {
  const TempDirectory state;
  const absl::StatusOr<std::unique_ptr<ServerProcess>> server =
      ServerProcess::Start({Program("standalone/contree-mcp"), "--local", "--mode", "http",
                            "--http-port", "0", "--state-dir", state.path()});
  ASSERT_OK(server);
  ASSERT_OK_AND_ASSIGN(const std::string url, (*server)->WaitForLogField("mcp"));
  McpHttpClient client(url);

  ASSERT_OK_AND_ASSIGN(
      json run, client.CallTool("run", {{"command", "echo over http"}, {"image", kBusybox}}));
  EXPECT_EQ(run.at("structuredContent").at("stdout"), "over http\n") << run;
  ASSERT_OK_AND_ASSIGN(const HttpResponse malformed, client.Post("{"));
  EXPECT_EQ(json::parse(malformed.body).at("error").at("code"), -32700);
  ASSERT_OK_AND_ASSIGN(const HttpResponse unknown,
                       client.Post(R"({"jsonrpc":"2.0","id":"x","method":"nope"})"));
  EXPECT_EQ(json::parse(unknown.body).at("error").at("code"), -32601);
  EXPECT_EQ(json::parse(unknown.body).at("id"), "x");
  ASSERT_OK_AND_ASSIGN(run, client.CallTool("run", {{"command", 1}, {"image", kBusybox}}));
  EXPECT_EQ(run.at("isError"), true);

  ASSERT_OK_AND_ASSIGN(const HttpResponse notification,
                       client.Post(R"({"jsonrpc":"2.0","method":"notifications/initialized"})"));
  EXPECT_EQ(notification.status, 202);
  EXPECT_EQ(notification.body, "");
  ASSERT_OK_AND_ASSIGN(const HttpResponse foreign,
                       client.Post(R"({"jsonrpc":"2.0","id":1,"method":"ping"})",
                                   {{"Origin", "http://evil.example"}}));
  EXPECT_EQ(foreign.status, 403);
  ASSERT_OK_AND_ASSIGN(const HttpResponse get,
                       client.Exchange({.method = "GET", .target = "/mcp"}));
  EXPECT_EQ(get.status, 405);
  ASSERT_OK_AND_ASSIGN(const HttpResponse huge, client.Post(std::string(20 << 20, ' ')));
  EXPECT_EQ(huge.status, 413);

  (*server)->Signal(SIGTERM);
  EXPECT_THAT((*server)->Wait(), testing::Eq(absl::StatusOr<int>(0))) << (*server)->Output();
}

}  // namespace
}  // namespace contree::testing_harness
