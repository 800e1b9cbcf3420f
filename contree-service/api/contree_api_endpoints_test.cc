// The endpoints that no RPC uses: processes beside a command, and questions without a transfer.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/http/httplib_http_client.h"
#include "common/testing/status_matchers.h"
#include "common/time/clock.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/testing/scripted_api.h"

namespace contree {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kOperation[] = "01a0d8ca-28fd-777e-8000-000000000001";
constexpr char kImage[] = "95ba4f1b-a511-325b-8000-000000000002";

class ContreeApiEndpointsTest : public testing::Test {
 protected:
  ContreeApiEndpointsTest() : context_(NewCallContext(absl::Seconds(20))) {}

  ContreeApi Api() {
    auto http = HttplibHttpClient::Create({.base_url = server_.url()});
    EXPECT_OK(http);
    return ContreeApi(*std::move(http),
                      {.base_url = server_.url(), .token = "sesame", .project = "", .platform = ""},
                      &clock_, {.max_attempts = 2, .backoff = {.first = absl::Milliseconds(1)}});
  }
  // Answers one route and says what came: "QUERY-OF-name body".
  void Answer(const std::string& route, int status, const std::string& json,
              const std::string& query = "") {
    server_.On(route, [=, this](HttpExchange& exchange) {
      query_ = query.empty() ? "" : exchange.Query(query).value_or("none");
      body_ = exchange.ReadBody(1 << 20).value_or("unreadable");
      exchange.Respond(status, "application/json", json);
    });
  }

  ScriptedApi server_;
  RealClock clock_;
  CallContext context_;
  std::string query_;
  std::string body_;
  const std::string processes_ = absl::StrCat("/v1/operations/", kOperation, "/subprocesses");
};

TEST_F(ContreeApiEndpointsTest, AProcessIsStartedBesideTheCommand) {
  Answer("POST " + processes_, 201, R"({"spid":2})");
  SubprocessSpec spec = {.command = "cat",
                         .args = {"-n"},
                         .env = {{"A", "b"}},
                         .cwd = "/tmp",
                         .uid = 7,
                         .gid = 8,
                         .stdin = "hi",
                         .stdin_stays_open = true,
                         .truncate_output_at = 100};
  ASSERT_OK_AND_ASSIGN(const int64_t spid, Api().StartSubprocess(kOperation, spec, context_));
  EXPECT_EQ(spid, 2);
  EXPECT_EQ(
      body_,
      R"({"args":["-n"],"command":"cat","cwd":"/tmp","env":{"A":"b"},"gid":8,"shell":false,)"
      R"("stdin":{"close":false,"encoding":"ascii","value":"hi"},"truncate_output_at":100,"uid":7})");
  spec = {.command = "id", .shell = true};
  ASSERT_OK(Api().StartSubprocess(kOperation, spec, context_));
  EXPECT_EQ(body_, R"({"args":[],"command":"id","env":{},"gid":0,"shell":true,)"
                   R"("stdin":{"close":true,"encoding":"ascii","value":""},"uid":0})");
}

TEST_F(ContreeApiEndpointsTest, AProcessThatTheAnswerDoesNotNameMayHaveStarted) {
  Answer("POST " + processes_, 201, "{}");
  EXPECT_THAT(Api().StartSubprocess(kOperation, {.command = "id"}, context_),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr(kOperation)));
  Answer("POST " + processes_, 409, R"({"error":"not running"})");
  EXPECT_THAT(Api().StartSubprocess(kOperation, {.command = "id"}, context_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not running")));
}

TEST_F(ContreeApiEndpointsTest, AProcessIsSeenRunningAndEnded) {
  const std::string route = absl::StrCat("GET ", processes_, "/2");
  Answer(route, 200,
         R"({"state":{"exit_code":-1,"signal":-1,"timed_out":false},
             "stdout":{"value":"so far","encoding":"ascii"},"stderr":{},"resources":{}})");
  ASSERT_OK_AND_ASSIGN(const Subprocess running, Api().GetSubprocess(kOperation, 2, context_));
  EXPECT_TRUE(running.is_running);
  EXPECT_EQ(running.result.stdout().data(), "so far");
  Answer(route, 200,
         R"({"state":{"exit_code":-1,"signal":15,"timed_out":false},
             "stdout":{"value":"aGk=","encoding":"base64"},"stderr":{},"resources":{"max_rss":3}})");
  ASSERT_OK_AND_ASSIGN(const Subprocess killed, Api().GetSubprocess(kOperation, 2, context_));
  EXPECT_FALSE(killed.is_running);
  EXPECT_EQ(killed.result.signal(), 15);
  EXPECT_EQ(killed.result.stdout().data(), "hi");
  EXPECT_EQ(killed.result.resources().max_rss_bytes(), 3072);
  Answer(route, 404, R"({"error":"no such process"})");
  EXPECT_THAT(
      Api().GetSubprocess(kOperation, 2, context_),
      StatusIs(absl::StatusCode::kNotFound, AllOf(HasSubstr("process 2"), HasSubstr(kOperation))));
}

TEST_F(ContreeApiEndpointsTest, AProcessIsSignalled) {
  const std::string route = absl::StrCat("DELETE ", processes_, "/1");
  Answer(route, 202, "", "signal");
  EXPECT_OK(Api().SignalSubprocess(kOperation, 1, "INT", context_));
  EXPECT_EQ(query_, "INT");
  EXPECT_OK(Api().SignalSubprocess(kOperation, 1, "", context_));
  EXPECT_EQ(query_, "none");
}

TEST_F(ContreeApiEndpointsTest, StdinIsWrittenAndClosed) {
  const std::string route = absl::StrCat("POST ", processes_, "/2/stdin");
  Answer(route, 200, "{}");
  EXPECT_OK(Api().WriteStdin(kOperation, 2, "line\n", /*close=*/false, context_));
  EXPECT_EQ(body_, R"({"close":false,"encoding":"ascii","value":"line\n"})");
  EXPECT_OK(
      Api().WriteStdin(kOperation, 2, absl::string_view("\0\xff", 2), /*close=*/true, context_));
  EXPECT_EQ(body_, R"({"close":true,"encoding":"base64","value":"AP8="})");
  // The guest's channel is not up yet: nothing was written, so it may be sent again.
  server_.On(route, [&](HttpExchange& exchange) {
    exchange.SetHeader("Retry-After", "0");
    exchange.Respond(server_.Count(route) < 4 ? 425 : 200, "application/json", "{}");
  });
  EXPECT_OK(Api().WriteStdin(kOperation, 2, "x", /*close=*/true, context_));
  EXPECT_EQ(server_.Count(route), 4);
  Answer(route, 500, "{}");
  EXPECT_THAT(Api().WriteStdin(kOperation, 2, "x", /*close=*/true, context_),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("stdin of process 2")));
}

TEST_F(ContreeApiEndpointsTest, UploadsAreListedAndLookedFor) {
  const std::string sha256(64, 'a');
  Answer("GET /v1/files", 200,
         absl::StrCat(R"({"files":[{"uuid":"f","sha256":")", sha256,
                      R"(","size":3,"created_at":"2026-05-18T09:16:55.185199Z","new":[]}]})"),
         "since");
  ASSERT_OK_AND_ASSIGN(const auto files, Api().ListUploads(10, 0, "2h", "", context_));
  EXPECT_EQ(query_, "2h");
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].file.uuid(), "f");
  EXPECT_EQ(files[0].file.size(), 3);
  EXPECT_EQ(files[0].created_at, "2026-05-18T09:16:55.185199Z");
  server_.On("HEAD /v1/files/" + sha256, [](HttpExchange& exchange) { exchange.Respond(200); });
  ASSERT_OK_AND_ASSIGN(const bool known, Api().HasFile(sha256, context_));
  EXPECT_TRUE(known);
  ASSERT_OK_AND_ASSIGN(const bool unknown, Api().HasFile(std::string(64, 'b'), context_));
  EXPECT_FALSE(unknown);
}

TEST_F(ContreeApiEndpointsTest, APathIsLookedForWithoutATransfer) {
  const std::string inspect = absl::StrCat("/v1/inspect/", kImage);
  const auto by_path = [](HttpExchange& exchange) {
    const std::string path = exchange.Query("path").value_or("");
    exchange.Respond(path == "/file" ? 200 : path == "/other" ? 422 : 404);
  };
  server_.On(absl::StrCat("HEAD ", inspect, "/download"), by_path);
  server_.On(absl::StrCat("HEAD ", inspect, "/archive"), by_path);
  ASSERT_OK_AND_ASSIGN(const bool file, Api().CanDownload(kImage, "/file", context_));
  EXPECT_TRUE(file);
  ASSERT_OK_AND_ASSIGN(const bool nothing, Api().CanArchive(kImage, "/none", context_));
  EXPECT_FALSE(nothing);
  EXPECT_THAT(Api().CanDownload(kImage, "/other", context_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("/other")));
  Answer(absl::StrCat("GET ", inspect, "/list"), 200, "drwxr-xr-x etc\n", "text");
  ASSERT_OK_AND_ASSIGN(const std::string text, Api().ListDirectoryAsText(kImage, "/", context_));
  EXPECT_EQ(text, "drwxr-xr-x etc\n");
  EXPECT_EQ(query_, "1");
}

TEST_F(ContreeApiEndpointsTest, ARunningOperationIsAskedForItsOutputSoFar) {
  Answer(absl::StrCat("GET /v1/operations/", kOperation), 200, R"({"status":"EXECUTING"})",
         "inflight");
  ASSERT_OK(Api().GetOperation(kOperation, context_, /*inflight=*/true));
  EXPECT_EQ(query_, "1");
  ASSERT_OK(Api().GetOperation(kOperation, context_));
  EXPECT_EQ(query_, "none");
}

}  // namespace
}  // namespace contree
