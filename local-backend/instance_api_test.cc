// POST /v1/instances and /v1/operations of the real program, with real sandboxes.

#include <signal.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/testing/backend_process.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class InstanceApiTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TempDirectory();
    backend_ = new BackendProcess(directory_->File("state"), {});
    ASSERT_EQ(backend_->readiness(), "ready\n");
  }
  static void TearDownTestSuite() {
    delete backend_;
    delete directory_;
  }
  static BackendProcess& backend() { return *backend_; }
  static std::string Out(const json& operation) {
    return operation["metadata"]["result"]["stdout"]["value"];
  }
  static std::string Err(const json& operation) {
    return operation["metadata"]["result"]["stderr"]["value"];
  }
  static json State(const json& operation) { return operation["metadata"]["result"]["state"]; }

  static TempDirectory* directory_;
  static BackendProcess* backend_;
};
TempDirectory* InstanceApiTest::directory_ = nullptr;
BackendProcess* InstanceApiTest::backend_ = nullptr;

TEST_F(InstanceApiTest, EventsComeInOrderWithIdsFromZero) {
  const std::string operation = backend().Start({{"command", "echo out"}});
  const std::vector<ServerEvent> events = backend().Follow(operation);
  std::vector<std::string> types;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].id, static_cast<int>(i));
    EXPECT_EQ(events[i].event["id"], static_cast<int>(i));
    EXPECT_EQ(events[i].event["type"], events[i].type);
    types.push_back(events[i].type);
  }
  EXPECT_THAT(types,
              ElementsAre("init", "spawn", "stdout", "exit", "network", "shutdown", "completion"));
  EXPECT_EQ(events[2].event["data"]["value"], "out\n");
  EXPECT_EQ(events[2].event["spid"], 1);
  EXPECT_EQ(events[3].event["data"]["code"], 0);
  EXPECT_EQ(events[3].event["data"]["signal"], -1);
  // The way out that it had, or why it had none.
  const json network = events[4].event["data"];
  if (network.contains("error")) {
    EXPECT_THAT(network["error"].get<std::string>(), HasSubstr("no network"));
  } else {
    EXPECT_EQ(network["interfaces"][0]["name"], "eth0");
  }
  EXPECT_EQ(events[5].event["data"]["reason"], "job_complete");
  EXPECT_EQ(events[6].event["data"]["status"], "SUCCESS");
}

TEST_F(InstanceApiTest, EventsResumeAndFilter) {
  const std::string operation =
      backend().Start({{"command", "echo out"}, {"networking", {{"enabled", false}}}});
  backend().Follow(operation);
  const auto rest = backend().Follow(operation, "follow=1&since=2");
  ASSERT_EQ(rest.size(), 3);
  EXPECT_EQ(rest[0].type, "exit");
  EXPECT_EQ(backend().Follow(operation, "since=-1").size(), 6);
  const auto of_command = backend().Follow(operation, "spid=1");
  ASSERT_EQ(of_command.size(), 3);
  EXPECT_EQ(of_command[0].type, "spawn");
  EXPECT_EQ(backend().Request("GET", "/v1/operations/" + operation + "/events?since=x").status,
            400);
}

TEST_F(InstanceApiTest, AnswerOfSpawnEchoesTheRequest) {
  const Answer answer =
      backend().Request("POST", "/v1/instances",
                        {{"command", "true"},
                         {"image", "tag:busybox:latest"},
                         {"env", nullptr},
                         {"args", nullptr},
                         {"stdin", {{"value", ""}, {"encoding", "ascii"}, {"truncated", false}}},
                         {"result", nullptr},
                         {"cwd", ""},
                         {"unknown", 1}});
  ASSERT_EQ(answer.status, 201) << answer.body;
  const json body = answer.json();
  EXPECT_EQ(answer.location, "/v1/operations/" + body["uuid"].get<std::string>());
  EXPECT_EQ(body["timeout"], 60);
  EXPECT_EQ(body["truncate_output_at"], 1048576);
  EXPECT_EQ(body["disposable"], false);
  EXPECT_EQ(body["hostname"], "linuxkit");
  EXPECT_EQ(body["networking"]["enabled"], true);
  EXPECT_EQ(body["resources_limits"]["max_layer_bytes"], 12884901888);
  EXPECT_TRUE(body["result"].is_null());
}

TEST_F(InstanceApiTest, OperationHasEveryFieldThatOldClientsRequire) {
  const json operation = backend().Run({{"command", "echo hi"}});
  for (const char* name :
       {"uuid", "kind", "status", "error", "created_at", "duration", "image_size", "consumed_cpu",
        "consumed_memory", "image_uuid", "result_image_uuid", "metadata", "result"}) {
    EXPECT_TRUE(operation.contains(name)) << name;
  }
  EXPECT_TRUE(operation["duration"].is_number());
  EXPECT_EQ(operation["metadata"]["result"]["resources"].size(), 16);
  EXPECT_EQ(State(operation).size(), 7);
  EXPECT_TRUE(operation["result"].contains("image"));
}

TEST_F(InstanceApiTest, ChangedFileSystemIsANewImageAndAnUnchangedOneIsNot) {
  const json changed = backend().Run({{"command", "echo a > /a"}, {"disposable", false}});
  ASSERT_EQ(changed["status"], "SUCCESS");
  EXPECT_NE(changed["result_image_uuid"], changed["image_uuid"]);
  EXPECT_GT(changed["image_size"], 0);
  const json same = backend().Run({{"command", "cat /a; touch -r /etc /x; rm /x; chmod 644 /a"},
                                   {"image", changed["result_image_uuid"]},
                                   {"disposable", false}});
  EXPECT_EQ(Out(same), "a\n");
  EXPECT_EQ(same["result_image_uuid"], changed["result_image_uuid"]);
  // Opened for writing, but with the same content in the end.
  const json rewritten = backend().Run(
      {{"command", "echo a > /a"}, {"image", changed["result_image_uuid"]}, {"disposable", false}});
  EXPECT_EQ(rewritten["result_image_uuid"], changed["result_image_uuid"]);
}

TEST_F(InstanceApiTest, BranchesAreIndependent) {
  const json base = backend().Run({{"command", "echo base > /f"}, {"disposable", false}});
  const json& image = base["result_image_uuid"];
  const std::string left =
      backend().Start({{"command", "echo left > /f"}, {"image", image}, {"disposable", false}});
  const std::string right =
      backend().Start({{"command", "rm /f"}, {"image", image}, {"disposable", false}});
  backend().Follow(left);
  backend().Follow(right);
  const json left_image =
      backend().Request("GET", "/v1/operations/" + left).json()["result_image_uuid"];
  const json right_image =
      backend().Request("GET", "/v1/operations/" + right).json()["result_image_uuid"];
  EXPECT_EQ(Out(backend().Run({{"command", "cat /f"}, {"image", left_image}})), "left\n");
  EXPECT_EQ(State(backend().Run({{"command", "test -e /f"}, {"image", right_image}}))["exit_code"],
            1);
  EXPECT_EQ(Out(backend().Run({{"command", "cat /f"}, {"image", image}})), "base\n");
}

TEST_F(InstanceApiTest, DisposableLeavesNoImage) {
  const json operation = backend().Run({{"command", "echo a > /a"}});
  EXPECT_TRUE(operation["result_image_uuid"].is_null());
}

TEST_F(InstanceApiTest, FailingCommandIsASuccessWithAnImage) {
  const json operation = backend().Run({{"command", "echo a > /a; exit 3"}, {"disposable", false}});
  EXPECT_EQ(operation["status"], "SUCCESS");
  EXPECT_EQ(State(operation)["exit_code"], 3);
  EXPECT_NE(operation["result_image_uuid"], operation["image_uuid"]);
}

TEST_F(InstanceApiTest, DestroyedRootLeavesTheParentAlone) {
  const json destroyed =
      backend().Run({{"command", "rm -rf / 2>/dev/null; exit 0"}, {"disposable", false}});
  EXPECT_EQ(destroyed["status"], "SUCCESS");
  const json after =
      backend().Run({{"command", "true"}, {"image", destroyed["result_image_uuid"]}});
  EXPECT_EQ(State(after)["exit_code"], 127);
  EXPECT_EQ(Out(backend().Run({{"command", "echo alive"}})), "alive\n");
}

TEST_F(InstanceApiTest, TimeoutIsASuccessThatTimedOut) {
  const json operation = backend().Run({{"command", "sleep 100"}, {"timeout", 1}});
  EXPECT_EQ(operation["status"], "SUCCESS");
  EXPECT_EQ(State(operation)["timed_out"], true);
  EXPECT_EQ(State(operation)["signal"], 9);
  EXPECT_EQ(State(operation)["exit_code"], -1);
}

TEST_F(InstanceApiTest, MissingCommandIsExitCode127) {
  const json operation = backend().Run({{"command", "/no/such"}, {"shell", false}});
  EXPECT_EQ(operation["status"], "SUCCESS");
  EXPECT_EQ(State(operation)["exit_code"], 127);
  EXPECT_THAT(Err(operation), HasSubstr("/no/such"));
}

TEST_F(InstanceApiTest, TakesDirectoryEnvironmentIdsHostnameAndStdin) {
  const json operation =
      backend().Run({{"command", "pwd; echo $A $HOME; id -u; id -g; hostname; cat; echo $1"},
                     {"args", {"first"}},
                     {"cwd", "/made/here"},
                     {"env", {{"A", "b c"}}},
                     {"uid", 5},
                     {"gid", 6},
                     {"hostname", "somewhere"},
                     {"stdin", {{"value", "aW4K"}, {"encoding", "base64"}}}});
  EXPECT_EQ(Out(operation), "/made/here\nb c /root\n5\n6\nsomewhere\nin\nfirst\n");
}

TEST_F(InstanceApiTest, PreservedEnvironmentBelongsToTheImage) {
  const json preserved = backend().Run({{"command", "true"},
                                        {"env", {{"KEPT", "1"}}},
                                        {"preserve_env", true},
                                        {"disposable", false}});
  EXPECT_NE(preserved["result_image_uuid"], preserved["image_uuid"]);
  EXPECT_EQ(
      Out(backend().Run({{"command", "echo $KEPT"}, {"image", preserved["result_image_uuid"]}})),
      "1\n");
}

TEST_F(InstanceApiTest, OutputIsTruncatedAndSaysSo) {
  const std::string id = backend().Start(
      {{"command", "yes | head -c 5000000; echo e >&2"}, {"truncate_output_at", 1000}});
  const auto events = backend().Follow(id);
  size_t shown = 0;
  bool truncated = false;
  for (const ServerEvent& event : events) {
    if (event.type == "stdout") shown += event.event["data"]["value"].get<std::string>().size();
    if (event.type == "truncated") {
      truncated = true;
      EXPECT_EQ(event.event["data"]["bytes_dropped"], 4999000);
    }
  }
  EXPECT_EQ(shown, 1000);
  EXPECT_TRUE(truncated);
  const json result = backend().Request("GET", "/v1/operations/" + id).json()["metadata"]["result"];
  EXPECT_EQ(result["stdout"]["truncated"], true);
  EXPECT_EQ(result["stdout"]["value"].get<std::string>().size(), 1000);
  EXPECT_EQ(result["stderr"]["truncated"], false);
}

TEST_F(InstanceApiTest, BinaryOutputIsBase64) {
  const json operation = backend().Run({{"command", "printf '\\377\\000a'"}});
  EXPECT_EQ(operation["metadata"]["result"]["stdout"]["encoding"], "base64");
  EXPECT_EQ(Out(operation), "/wBh");
}

TEST_F(InstanceApiTest, TooLargeALayerFails) {
  const json operation = backend().Run({{"command", "head -c 100000 /dev/zero > /big"},
                                        {"disposable", false},
                                        {"resources_limits", {{"max_layer_bytes", 50000}}}});
  EXPECT_EQ(operation["status"], "FAILED");
  EXPECT_THAT(operation["error"].get<std::string>(), HasSubstr("max_layer_bytes allows 50000"));
  EXPECT_TRUE(operation["result_image_uuid"].is_null());
}

TEST_F(InstanceApiTest, CancelEndsARunningOperation) {
  const std::string id = backend().Start({{"command", "sleep 1000"}});
  EXPECT_EQ(backend().Request("DELETE", "/v1/operations/" + id).status, 202);
  const auto events = backend().Follow(id);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().type, "completion");
  EXPECT_EQ(events.back().event["data"]["status"], "CANCELLED");
  EXPECT_EQ(backend().Request("GET", "/v1/operations/" + id).json()["status"], "CANCELLED");
  EXPECT_EQ(backend().Request("DELETE", "/v1/operations/" + id).status, 409);
  EXPECT_EQ(
      backend().Request("DELETE", "/v1/operations/01a0d8ca-0000-7000-8000-000000000000").status,
      404);
}

TEST_F(InstanceApiTest, OperationsAreListedNewestFirst) {
  const std::string first = backend().Start({{"command", "true"}});
  const std::string second = backend().Start({{"command", "true"}});
  backend().Follow(first);
  backend().Follow(second);
  const json list =
      backend().Request("GET", "/v1/operations?limit=2&status=SUCCESS&kind=instance").json();
  ASSERT_EQ(list.size(), 2);
  EXPECT_EQ(list[0]["uuid"], second);
  EXPECT_EQ(list[1]["uuid"], first);
  EXPECT_EQ(backend().Request("GET", "/v1/operations?limit=1&offset=1").json()[0]["uuid"], first);
  EXPECT_EQ(backend().Request("GET", "/v1/operations?offset=1000").body, "[]");
  EXPECT_EQ(backend().Request("GET", "/v1/operations?kind=image_import").body, "[]");
  EXPECT_EQ(backend().Request("GET", "/v1/operations?since=1h&limit=1").json().size(), 1);
  EXPECT_EQ(backend().Request("GET", "/v1/operations?until=1h").body, "[]");
  EXPECT_EQ(backend().Request("GET", "/v1/operations?status=running").status, 400);
}

TEST_F(InstanceApiTest, WrongRequestsSayWhatIsWrong) {
  const auto post = [](const json& body) {
    return backend().Request("POST", "/v1/instances", body);
  };
  const std::string image = "tag:busybox:latest";
  EXPECT_EQ(post("{").status, 400);
  EXPECT_EQ(post(json::array()).status, 400);
  EXPECT_THAT(post({{"image", image}}).body, HasSubstr("command is required"));
  EXPECT_EQ(post({{"command", "true"}}).status, 400);
  const Answer unknown = post({{"command", "true"}, {"image", "tag:no-such"}});
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr("there is no image tag:no-such"));
  const Answer files =
      post({{"command", "true"}, {"image", image}, {"files", {{"/f", {{"uuid", "1234"}}}}}});
  EXPECT_EQ(files.status, 404);
  EXPECT_THAT(files.body, HasSubstr("there is no file 1234"));
  EXPECT_EQ(post({{"command", "true"}, {"image", image}, {"files", json::object()}}).status, 201);
  for (const json& wrong :
       {json{{"timeout", 0}}, json{{"timeout", 3601}}, json{{"timeout", "5"}},
        json{{"truncate_output_at", -1}}, json{{"args", "x"}}, json{{"env", {{"A", 1}}}},
        json{{"env", {{"A=B", "1"}}}}, json{{"cwd", "relative"}}, json{{"uid", -1}},
        json{{"uid", 65535}}, json{{"shell", "yes"}}, json{{"hostname", std::string(65, 'h')}},
        json{{"stdin", {{"value", "?"}, {"encoding", "base64"}}}},
        json{{"stdin", {{"value", ""}, {"close", "no"}}}}}) {
    json body = {{"command", "true"}, {"image", image}};
    body.update(wrong);
    EXPECT_EQ(post(body).status, 400) << wrong;
  }
}

TEST(BackendQueueTest, OneAtATimeInTheOrderTheyCame) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--max-concurrent", "1"});
  const std::string first = backend.Start({{"command", "sleep 1000"}});
  const std::string second = backend.Start({{"command", "true"}});
  const std::string third = backend.Start({{"command", "true"}});
  EXPECT_EQ(backend.Request("GET", "/v1/operations/" + second).json()["status"], "PENDING");
  EXPECT_EQ(backend.Request("DELETE", "/v1/operations/" + second).status, 202);
  const auto events = backend.Follow(second);
  ASSERT_EQ(events.size(), 1);
  EXPECT_EQ(events[0].event["data"]["status"], "CANCELLED");
  EXPECT_EQ(backend.Request("GET", "/v1/operations/" + third).json()["status"], "PENDING");
  EXPECT_EQ(backend.Request("DELETE", "/v1/operations/" + first).status, 202);
  EXPECT_EQ(backend.Follow(third).back().event["data"]["status"], "SUCCESS");
}

TEST(BackendQueueTest, BeyondItsBoundIsRefusedForNow) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--max-concurrent", "1", "--max-queued", "2"});
  const std::string running = backend.Start({{"command", "sleep 1000"}});
  const std::string second = backend.Start({{"command", "true"}});
  backend.Start({{"command", "true"}});
  const json request = {{"command", "true"}, {"image", "tag:busybox:latest"}};
  const Answer refused = backend.Request("POST", "/v1/instances", request);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("Retry-After"), "1");
  EXPECT_THAT(refused.body, HasSubstr("2 operations wait for their turn already"));
  EXPECT_EQ(backend.Request("GET", "/v1/operations").json().size(), 3);
  // One fewer waits: there is room again.
  EXPECT_EQ(backend.Request("DELETE", "/v1/operations/" + second).status, 202);
  EXPECT_EQ(backend.Request("POST", "/v1/instances", request).status, 201);
  EXPECT_EQ(backend.Request("DELETE", "/v1/operations/" + running).status, 202);
}

TEST(BackendQueueTest, WhatRunsNeedsNoThreadOfItsOwn) {
  const TempDirectory directory;
  BackendProcess backend(directory.File("state"), {"--max-concurrent", "100"});
  std::vector<std::string> operations;
  for (int i = 0; i < 60; ++i) {
    operations.push_back(backend.Start({{"command", "read line; echo $line"},
                                        {"stdin", {{"value", ""}, {"close", false}}},
                                        {"networking", {{"enabled", false}}}}));
  }
  // Each is seen to run, and then to go on.
  for (const std::string& operation : operations) {
    const std::string target = "/v1/operations/" + operation + "/subprocesses/1/stdin";
    const json line = {{"value", operation + "\n"}, {"close", true}};
    Answer answer = backend.Request("POST", target, line);
    while (answer.status == 425) answer = backend.Request("POST", target, line);
    ASSERT_EQ(answer.status, 200) << answer.body;
    if (operation != operations.back()) continue;
    int threads = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(backend.pid()) + "/task")) {
      threads += entry.is_directory() ? 1 : 0;
    }
    EXPECT_LT(threads, 50);
  }
  for (const std::string& operation : operations) {
    backend.Follow(operation);
    const json result = backend.Request("GET", "/v1/operations/" + operation).json();
    EXPECT_EQ(result["metadata"]["result"]["stdout"]["value"], operation + "\n");
  }
}

TEST(BackendRestartTest, UnfinishedOperationsFailAndImagesStay) {
  const TempDirectory directory;
  std::string running;
  json image;
  {
    BackendProcess backend(directory.File("state"), {});
    image =
        backend.Run({{"command", "echo kept > /f"}, {"disposable", false}})["result_image_uuid"];
    running = backend.Start({{"command", "sleep 1000"}});
    backend.Kill(SIGKILL);
    EXPECT_EQ(backend.Wait(), -SIGKILL);
  }
  BackendProcess backend(directory.File("state"), {});
  ASSERT_EQ(backend.readiness(), "ready\n");
  const json operation = backend.Request("GET", "/v1/operations/" + running).json();
  EXPECT_EQ(operation["status"], "FAILED");
  EXPECT_EQ(operation["error"], "the backend stopped");
  EXPECT_EQ(backend.Follow(running).back().event["data"]["status"], "FAILED");
  EXPECT_EQ(backend.Run(
                {{"command", "cat /f"}, {"image", image}})["metadata"]["result"]["stdout"]["value"],
            "kept\n");
  // The seed is made once.
  EXPECT_EQ(backend.Request("GET", "/v1/images?tag=busybox").json()["images"].size(), 1);
}

}  // namespace
}  // namespace contree
