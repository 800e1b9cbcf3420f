// Processes beside the command of a running instance, its stdin, and what is seen of it meanwhile:
// /v1/operations/{id}/subprocesses of the real program.

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ProcessApiTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory();
    backend_ = new BackendProcess(directory_->File("state"), {});
  }
  // Also run with other tiers (BUILD.bazel): skipped, with the backend's own reason, where the
  // machine lacks what they need.
  void SetUp() override {
    const std::string& said = backend_->readiness();
    if (absl::StrContains(said, "install the package")) GTEST_SKIP() << said;
    ASSERT_EQ(said, "ready\n");
  }
  static void TearDownTestSuite() {
    delete backend_;
    delete directory_;
  }
  static BackendProcess& backend() { return *backend_; }

  // An instance whose command reads its stdin line by line, and runs.
  static std::string StartOpen(const std::string& command, json fields = json::object()) {
    fields["command"] = command;
    fields["networking"] = {{"enabled", false}};
    fields["stdin"] = {{"value", ""}, {"encoding", "ascii"}, {"close", false}};
    const std::string operation = backend().Start(fields);
    while (At(operation)["status"] != "EXECUTING") {
    }
    return operation;
  }
  static json At(const std::string& operation, const std::string& query = "") {
    return backend().Request("GET", "/v1/operations/" + operation + query).json();
  }
  static std::string Target(const std::string& operation, const std::string& rest = "") {
    return "/v1/operations/" + operation + "/subprocesses" + rest;
  }
  // Repeats what was not ready yet.
  static Answer Post(const std::string& target, const json& body) {
    Answer answer = backend().Request("POST", target, body);
    while (answer.status == 425) {
      EXPECT_EQ(answer.headers.at("Retry-After"), "1");
      answer = backend().Request("POST", target, body);
    }
    return answer;
  }
  static int StartBeside(const std::string& operation, const std::string& command,
                         json fields = json::object()) {
    fields["command"] = command;
    fields["shell"] = true;
    const Answer answer = Post(Target(operation), fields);
    EXPECT_EQ(answer.status, 201) << answer.body;
    return answer.json().value("spid", -1);
  }
  // Of a process, once it has ended; by its events.
  static json ResultOf(const std::string& operation, int spid) {
    json result;
    do {
      result = backend().Request("GET", Target(operation, absl::StrCat("/", spid))).json();
    } while (result["state"]["exit_code"] == -1 && result["state"]["signal"] == -1);
    return result;
  }
  static void Finish(const std::string& operation) {
    const Answer answer =
        Post(Target(operation, "/1/stdin"), {{"value", "end\n"}, {"close", true}});
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(backend().Follow(operation).back().event["data"]["status"], "SUCCESS");
  }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
};

TempDirectory* ProcessApiTest::directory_ = nullptr;
BackendProcess* ProcessApiTest::backend_ = nullptr;

TEST_F(ProcessApiTest, RunsBesideTheCommandInItsFileSystem) {
  const std::string operation =
      StartOpen("echo shared > /f; read line", {{"env", {{"A", "of instance"}}}, {"cwd", "/work"}});
  const int spid = StartBeside(
      operation, "while [ ! -s /f ]; do :; done; cat /f; pwd; echo $A $B; id -u; cat; exit 3",
      {{"env", {{"B", "own"}}},
       {"uid", 7},
       {"stdin", {{"value", "Z2l2ZW4K"}, {"encoding", "base64"}}}});
  EXPECT_EQ(spid, 2);
  const json result = ResultOf(operation, spid);
  EXPECT_EQ(result["state"]["exit_code"], 3);
  EXPECT_EQ(result["stdout"]["value"], "shared\n/work\nof instance own\n7\ngiven\n");
  EXPECT_EQ(result["resources"].size(), 16);
  EXPECT_EQ(result["state"].size(), 7);
  const json list = backend().Request("GET", Target(operation)).json()["subprocesses"];
  ASSERT_EQ(list.size(), 2);
  EXPECT_EQ(list[0]["spid"], 1);
  EXPECT_EQ(list[0]["state"]["exit_code"], -1);
  EXPECT_EQ(list[1]["spid"], 2);
  EXPECT_EQ(list[1]["state"]["exit_code"], 3);
  Finish(operation);
  // What is known of it remains.
  EXPECT_EQ(ResultOf(operation, spid), result);
  std::vector<std::string> types;
  for (const ServerEvent& event : backend().Follow(operation, "spid=2")) {
    // Its output comes in one piece or in several.
    if (types.empty() || types.back() != event.type) types.push_back(event.type);
  }
  EXPECT_THAT(types, testing::ElementsAre("spawn", "stdin", "stdout", "exit"));
  const auto all = backend().Follow(operation);
  EXPECT_EQ(all.back().type, "completion");
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].id, static_cast<int>(i));
}

TEST_F(ProcessApiTest, WhatItChangedBelongsToTheImage) {
  const std::string operation = StartOpen("read line", {{"disposable", false}});
  EXPECT_EQ(ResultOf(operation, StartBeside(operation, "echo kept > /made"))["state"]["exit_code"],
            0);
  Finish(operation);
  const json again =
      backend().Run({{"command", "cat /made"}, {"image", At(operation)["result_image_uuid"]}});
  EXPECT_EQ(again["metadata"]["result"]["stdout"]["value"], "kept\n");
}

TEST_F(ProcessApiTest, StdinIsWrittenPieceByPieceAndClosed) {
  const std::string operation = StartOpen("cat; echo end");
  const std::string target = Target(operation, "/1/stdin");
  EXPECT_EQ(Post(target, {{"value", "one "}}).json()["written"], 4);
  EXPECT_EQ(Post(target, {{"value", "dHdv"}, {"encoding", "base64"}, {"close", false}}).status,
            200);
  EXPECT_EQ(Post(target, {{"value", "\n"}, {"close", true}}).status, 200);
  backend().Follow(operation);
  EXPECT_EQ(At(operation)["metadata"]["result"]["stdout"]["value"], "one two\nend\n");
  EXPECT_EQ(At(operation)["metadata"]["stdin"]["close"], false);
  std::string echoed;
  for (const ServerEvent& event : backend().Follow(operation, "spid=1")) {
    if (event.type == "stdin") echoed += event.event["data"]["value"];
  }
  EXPECT_EQ(echoed, "one two\n");
  const Answer late = backend().Request("POST", target, {{"value", "late"}});
  EXPECT_EQ(late.status, 409);
  EXPECT_THAT(late.body, HasSubstr("has ended"));
}

TEST_F(ProcessApiTest, ClosedStdinTakesNoMore) {
  const std::string operation = StartOpen("read line");
  const int spid = StartBeside(operation, "sleep 1000");
  const Answer closed = Post(Target(operation, "/2/stdin"), {{"value", "x"}});
  EXPECT_EQ(closed.status, 409);
  EXPECT_THAT(closed.body, HasSubstr("the stdin of process 2 is closed"));
  EXPECT_EQ(spid, 2);
  Finish(operation);
}

TEST_F(ProcessApiTest, RunningOneIsSeenWithItsOutputSoFar) {
  const std::string operation = StartOpen("echo first; read line; echo second");
  json seen;
  do {
    seen = At(operation, "?inflight=1");
  } while (seen["metadata"]["result"].is_null() ||
           seen["metadata"]["result"]["stdout"]["value"] == "");
  EXPECT_EQ(seen["status"], "EXECUTING");
  EXPECT_EQ(seen["metadata"]["result"]["stdout"]["value"], "first\n");
  EXPECT_EQ(seen["metadata"]["result"]["state"]["exit_code"], -1);
  EXPECT_GT(seen["metadata"]["result"]["state"]["pid"], 1);
  EXPECT_GT(seen["duration"], 0);
  EXPECT_TRUE(At(operation)["metadata"]["result"].is_null());
  EXPECT_EQ(At(operation, "?inflight=0")["metadata"]["result"], nullptr);
  Finish(operation);
  EXPECT_EQ(At(operation, "?inflight=1")["metadata"]["result"]["stdout"]["value"],
            "first\nsecond\n");
}

TEST_F(ProcessApiTest, SignalsReachTheProcess) {
  const std::string operation =
      StartOpen("trap 'echo got; exit 4' INT; while :; do sleep 0.02; done");
  const auto signal = [&](const std::string& rest) {
    return backend().Request("DELETE", Target(operation, rest)).status;
  };
  const int by_default = StartBeside(operation, "sleep 1000");
  const int killed = StartBeside(operation, "trap '' TERM; sleep 1000");
  EXPECT_EQ(signal("/2"), 202);
  EXPECT_EQ(ResultOf(operation, by_default)["state"]["signal"], 15);
  EXPECT_EQ(signal("/3?signal=SIGKILL"), 202);
  EXPECT_EQ(ResultOf(operation, killed)["state"]["signal"], 9);
  EXPECT_EQ(signal("/3?signal=KILL"), 409);
  EXPECT_EQ(signal("/4?signal=KILL"), 404);
  EXPECT_EQ(signal("/1?signal=NONSENSE"), 400);
  EXPECT_EQ(signal("/1?signal=99"), 400);
  // The trap may not be set yet; it is once the loop runs.
  while (At(operation)["status"] == "EXECUTING") {
    const int status = signal("/1?signal=2");
    EXPECT_TRUE(status == 202 || status == 409) << status;
    if (status == 409) break;
  }
  backend().Follow(operation);
}

TEST_F(ProcessApiTest, CancelledWithTheInstance) {
  const std::string operation = StartOpen("read line");
  StartBeside(operation, "echo up; sleep 1000");
  EXPECT_EQ(backend().Request("DELETE", "/v1/operations/" + operation).status, 202);
  const auto events = backend().Follow(operation);
  EXPECT_EQ(events.back().event["data"]["status"], "CANCELLED");
  EXPECT_EQ(ResultOf(operation, 2)["state"]["signal"], 9);
}

TEST_F(ProcessApiTest, WhatIsNotThereIsNotFound) {
  const std::string unknown = "01a0d8ca-0000-7000-8000-000000000000";
  EXPECT_EQ(backend().Request("GET", Target(unknown)).status, 404);
  EXPECT_EQ(backend().Request("GET", Target(unknown, "/2")).status, 404);
  EXPECT_EQ(backend().Request("POST", Target(unknown), {{"command", "true"}}).status, 404);
  EXPECT_EQ(backend().Request("POST", Target(unknown, "/1/stdin"), {{"value", ""}}).status, 404);
  EXPECT_EQ(backend().Request("DELETE", Target(unknown, "/1")).status, 404);
  const std::string operation = StartOpen("read line");
  for (const char* spid : {"/2", "/0", "/-1", "/x"}) {
    EXPECT_EQ(backend().Request("GET", Target(operation, spid)).status, 404) << spid;
  }
  EXPECT_EQ(Post(Target(operation, "/7/stdin"), {{"value", ""}}).status, 404);
  Finish(operation);
  const Answer ended = backend().Request("POST", Target(operation), {{"command", "true"}});
  EXPECT_EQ(ended.status, 409);
  EXPECT_THAT(ended.body, HasSubstr(operation));
}

TEST_F(ProcessApiTest, WrongRequestsSayWhatIsWrong) {
  const std::string operation = StartOpen("read line");
  for (const json& wrong :
       {json::object(), json{{"command", ""}}, json{{"command", "true"}, {"cwd", "relative"}},
        json{{"command", "true"}, {"uid", "root"}}, json{{"command", "true"}, {"args", 1}},
        json{{"command", "true"}, {"stdin", {{"value", "?"}, {"encoding", "base64"}}}},
        json{{"command", std::string("a\0b", 3)}}}) {
    EXPECT_EQ(Post(Target(operation), wrong).status, 400) << wrong;
  }
  for (const json& wrong : {json::array(), json{{"value", 1}}, json{{"value", ""}, {"close", 1}}}) {
    EXPECT_EQ(Post(Target(operation, "/1/stdin"), wrong).status, 400) << wrong;
  }
  const Answer method = backend().Request("PATCH", Target(operation), json::object());
  EXPECT_EQ(method.status, 405);
  Finish(operation);
}

}  // namespace
}  // namespace contree
