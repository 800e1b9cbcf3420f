// What an agent does with commands and images on a desk: contree-mcp, its backend and real
// sandboxes.

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "tests/harness/desk.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class RunTest : public DeskTest {};

TEST_F(RunTest, TheSeededImageIsThere) {
  const json listed = Call("list_images", {{"tag_prefix", "busybox"}});
  ASSERT_EQ(listed.at("images").size(), 1u) << listed;
  EXPECT_EQ(listed.at("images")[0].at("tag"), "busybox:latest");
  const json image = Call("get_image", {{"image", kBusybox}});
  EXPECT_EQ(image.at("uuid"), listed.at("images")[0].at("uuid"));
  EXPECT_EQ(Call("get_image", {{"image", "busybox:latest"}}).at("uuid"), image.at("uuid"));
  EXPECT_EQ(Call("get_image", {{"image", image.at("uuid")}}).at("tag"), "busybox:latest");
}

TEST_F(RunTest, ReturnsStreamsAndExitCode) {
  const json run = Run("echo out; echo err >&2; exit 3");
  EXPECT_EQ(run.at("state"), "SUCCESS");
  EXPECT_EQ(run.at("stdout"), "out\n");
  EXPECT_EQ(run.at("stderr"), "err\n");
  EXPECT_EQ(run.at("exit_code"), 3);
  EXPECT_EQ(run.at("timed_out"), false);
  EXPECT_EQ(run.at("kind"), "instance");
}

TEST_F(RunTest, RunsAsRootByItselfUnderAnotherUserIfAsked) {
  EXPECT_EQ(Run("id -u; id -g; hostname").at("stdout"), "0\n0\nlinuxkit\n");
  EXPECT_EQ(Run("id -u; id -g; hostname", {{"uid", 1000}, {"gid", 1001}, {"hostname", "box"}})
                .at("stdout"),
            "1000\n1001\nbox\n");
}

TEST_F(RunTest, HandsOverEnvironmentDirectoryInputAndArguments) {
  EXPECT_EQ(Run("echo \"$NAME\"; pwd; cat",
                {{"env", {{"NAME", "a b\"c"}}}, {"cwd", "/new/place"}, {"stdin", "line\nend"}})
                .at("stdout"),
            "a b\"c\n/new/place\nline\nend");
  EXPECT_EQ(Run("/bin/echo", {{"shell", false}, {"args", {"a b", "$HOME"}}}).at("stdout"),
            "a b $HOME\n");
}

TEST_F(RunTest, ACommandThatDoesNotExistIsExitCode127) {
  const json in_shell = Run("no-such-command");
  EXPECT_EQ(in_shell.at("exit_code"), 127);
  EXPECT_EQ(in_shell.at("state"), "SUCCESS");
  const json direct = Run("/no/such/command", {{"shell", false}});
  EXPECT_EQ(direct.at("exit_code"), 127);
  EXPECT_THAT(direct.at("stderr").get<std::string>(), HasSubstr("/no/such/command"));
}

TEST_F(RunTest, TimeUpKillsTheCommand) {
  const json run = Run("echo before; sleep 60; echo after", {{"timeout", 1}});
  EXPECT_EQ(run.at("timed_out"), true);
  EXPECT_EQ(run.at("state"), "SUCCESS");
  EXPECT_EQ(run.at("stdout"), "before\n");
  EXPECT_NE(run.at("exit_code"), 0);
}

TEST_F(RunTest, SignalsAreAsInAnyShell) {
  const json pipe = Run("yes | head -n 1");
  EXPECT_EQ(pipe.at("stdout"), "y\n");
  EXPECT_EQ(pipe.at("stderr"), "");
  const json killed = Run("kill -TERM $$");
  EXPECT_EQ(killed.at("signal"), 15);
  EXPECT_EQ(killed.at("state"), "SUCCESS");
}

TEST_F(RunTest, NothingOfARunOutlivesIt) {
  const absl::Time start = absl::Now();
  const json run = Run("sleep 60 & echo started");
  EXPECT_EQ(run.at("stdout"), "started\n");
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

TEST_F(RunTest, ASandboxReachesNeitherTheHostNorItsNetwork) {
  // Its own processes, its own loopback, nothing of ours.
  EXPECT_EQ(Run("ls /proc | grep -cE '^[0-9]+$' | awk '{print ($1 < 10)}'").at("stdout"), "1\n");
  EXPECT_EQ(Run("test -e /proc/1/root/etc/debian_version && echo seen").at("stdout"), "");
  EXPECT_EQ(Run("mount -t tmpfs none /mnt && echo mounted").at("stdout"), "");
  EXPECT_EQ(Run("echo 1 > /proc/sys/kernel/panic && echo written").at("stdout"), "");
}

TEST_F(RunTest, ACommandHasNoMoreCapabilitiesThanItMayEverHave) {
  const std::string status =
      Run("grep -E '^(CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status").at("stdout");
  const std::string permitted = status.substr(status.find("CapPrm:\t") + 8, 16);
  EXPECT_THAT(status, HasSubstr("CapBnd:\t" + permitted)) << status;
  EXPECT_NE(permitted.substr(6, 10), "ffffffffff");
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
}

TEST_F(RunTest, LongOutputIsCutAndSaysSo) {
  const json cut = Run("seq 1 100000; seq 1 3 >&2", {{"truncate_output_at", 10}});
  EXPECT_EQ(cut.at("stdout"), "1\n2\n3\n4\n5\n");
  EXPECT_EQ(cut.at("stdout_truncated"), true);
  EXPECT_EQ(cut.at("stderr"), "1\n2\n3\n");
  EXPECT_EQ(cut.at("stderr_truncated"), false);
  const json whole = Run("head -c 300000 /dev/zero | tr '\\0' x", {{"truncate_output_at", 300000}});
  EXPECT_EQ(whole.at("stdout").get<std::string>().size(), 300000u);
  EXPECT_EQ(whole.at("stdout_truncated"), false);
}

TEST_F(RunTest, BinaryOutputComesAsBase64AndTextAsText) {
  const json binary = Run("printf '\\377\\000\\001'");
  EXPECT_EQ(binary.at("stdout"), "/wAB");
  EXPECT_EQ(binary.at("stdout_encoding"), "base64");
  const json text = Run("echo 'gr\xc3\xbc\xc3\x9f'");
  EXPECT_EQ(text.at("stdout"), "gr\xc3\xbc\xc3\x9f\n");
}

TEST_F(RunTest, ADisposableRunLeavesNothing) {
  const json run = Run("echo x > /etc/trace");
  EXPECT_TRUE(!run.contains("result_image") || run.at("result_image").is_null()) << run;
  EXPECT_NE(Run("cat /etc/trace").at("exit_code"), 0);
}

TEST_F(RunTest, ARunThatChangesNothingGivesItsOwnImageBack) {
  const json run =
      Run("cat /etc/passwd > /dev/null; touch -c /etc/passwd || true", {{"disposable", false}});
  (void)run;
  const json unchanged = Run("ls /etc > /dev/null", {{"disposable", false}});
  EXPECT_EQ(unchanged.at("result_image"), unchanged.at("image"));
  EXPECT_EQ(unchanged.at("filesystem_changed"), false);
}

TEST_F(RunTest, BranchesAreIndependentAndTheParentNeverChanges) {
  const json parent = Run("mkdir /project && echo parent > /project/file", {{"disposable", false}});
  EXPECT_EQ(parent.at("filesystem_changed"), true);
  ASSERT_NE(parent.at("result_image"), parent.at("image"));
  const json on_parent = {{"image", parent.at("result_image")}, {"disposable", false}};
  const json a = Run("echo a > /project/file; rm -r /etc", on_parent);
  const json b = Run("echo b > /project/other", on_parent);
  EXPECT_EQ(Run("cat /project/file; ls /", {{"image", a.at("result_image")}})
                .at("stdout")
                .get<std::string>()
                .substr(0, 2),
            "a\n");
  EXPECT_EQ(Run("cat /project/file /project/other; test -d /etc && echo etc",
                {{"image", b.at("result_image")}})
                .at("stdout"),
            "parent\nb\netc\n");
  EXPECT_EQ(Run("cat /project/*", {{"image", parent.at("result_image")}}).at("stdout"), "parent\n");
}

TEST_F(RunTest, AFailingCommandStillMakesAnImage) {
  const json run = Run("echo kept > /kept; exit 9", {{"disposable", false}});
  EXPECT_EQ(run.at("exit_code"), 9);
  EXPECT_EQ(Call("read_file", {{"image", run.at("result_image")}, {"path", "/kept"}}).at("content"),
            "kept\n");
}

TEST_F(RunTest, DestroyingEverythingHurtsOnlyTheResult) {
  const json run = Run("rm -rf / 2>/dev/null; true", {{"disposable", false}});
  const json left = Call("list_files", {{"image", run.at("result_image")}});
  for (const json& file : left.at("files")) EXPECT_NE(file.at("name"), "bin") << left;
  EXPECT_EQ(Run("echo alive").at("stdout"), "alive\n");
}

TEST_F(RunTest, FilesAreReadWithoutRunningAnything) {
  const json made =
      Run("mkdir -p /d/sub && cd /d && printf 'text\\n' > file && printf '\\377' > binary && ln -s "
          "file link && chmod 640 file",
          {{"disposable", false}});
  const json listed = Call("list_files", {{"image", made.at("result_image")}, {"path", "/d"}});
  EXPECT_EQ(listed.at("path"), "/d");
  EXPECT_EQ(listed.at("count"), 4);
  std::map<std::string, json> by_name;
  for (const json& file : listed.at("files")) by_name[file.at("name").get<std::string>()] = file;
  EXPECT_EQ(by_name["file"].at("size"), 5);
  EXPECT_EQ(by_name["link"].at("target"), "file");
  EXPECT_EQ(by_name["sub"].at("type"), "directory");
  EXPECT_EQ(by_name["file"].at("uid"), 0);
  const json text = Call("read_file", {{"image", made.at("result_image")}, {"path", "/d/link"}});
  EXPECT_EQ(text.at("content"), "text\n");
  EXPECT_EQ(text.at("encoding"), "utf-8");
  const json binary =
      Call("read_file", {{"image", made.at("result_image")}, {"path", "/d/binary"}});
  EXPECT_EQ(binary.at("content"), "/w==");
  EXPECT_EQ(binary.at("encoding"), "base64");
  EXPECT_THAT(CallForError("read_file", {{"image", made.at("result_image")}, {"path", "/d/none"}}),
              HasSubstr("/d/none"));
  EXPECT_THAT(CallForError("list_files", {{"image", made.at("result_image")}, {"path", "/d/file"}}),
              HasSubstr("/d/file"));
}

TEST_F(RunTest, TagsMoveAndGo) {
  const json first = Run("echo 1 > /n", {{"disposable", false}});
  const json second = Run("echo 2 > /n", {{"disposable", false}});
  Call("set_tag", {{"image_uuid", first.at("result_image")}, {"tag", "test/moving/busybox:1"}});
  Call("set_tag", {{"image_uuid", second.at("result_image")}, {"tag", "test/moving/busybox:1"}});
  EXPECT_EQ(Run("cat /n", {{"image", "tag:test/moving/busybox:1"}}).at("stdout"), "2\n");
  EXPECT_EQ(Call("list_images", {{"tag_prefix", "test/moving"}}).at("images").size(), 1u);
  Call("set_tag", {{"image_uuid", second.at("result_image")}});
  EXPECT_EQ(Call("list_images", {{"tag_prefix", "test/moving"}}).at("images").size(), 0u);
  EXPECT_THAT(
      CallForError("set_tag", {{"image_uuid", first.at("result_image")}, {"tag", "NOT A TAG"}}),
      HasSubstr("NOT A TAG"));
}

TEST_F(RunTest, AnUnknownImageIsAnErrorThatNamesIt) {
  EXPECT_THAT(CallForError("run", {{"command", "true"}, {"image", "tag:no/such/image:1"}}),
              testing::AllOf(HasSubstr("no/such/image:1"), HasSubstr("list_images")));
  EXPECT_THAT(
      CallForError("run", {{"command", "true"}, {"image", "00000000-0000-4000-8000-000000000000"}}),
      HasSubstr("00000000-0000-4000-8000-000000000000"));
  EXPECT_THAT(CallForError("get_image", {{"image", "tag:no/such/image:1"}}),
              HasSubstr("no/such/image:1"));
}

class OperationsTest : public DeskTest {};

TEST_F(OperationsTest, RunsInParallelAndWaitsForAll) {
  json ids = json::array();
  for (int i = 0; i < 4; ++i)
    ids.push_back(Run("sleep 2; echo done", {{"wait", false}}).at("operation_id"));
  const absl::Time start = absl::Now();
  const json waited = Call("wait_operations", {{"operation_ids", ids}});
  EXPECT_LT(absl::Now() - start, absl::Seconds(7)) << "one after the other";
  EXPECT_EQ(waited.at("completed").size(), 4u) << waited;
  EXPECT_EQ(waited.at("pending").size(), 0u);
  EXPECT_EQ(waited.at("timed_out"), false);
  for (const json& id : ids)
    EXPECT_EQ(waited.at("results").at(id.get<std::string>()).at("stdout"), "done\n");
}

TEST_F(OperationsTest, WaitingForAnyCancelsTheOthers) {
  const std::string quick = Run("echo quick", {{"wait", false}}).at("operation_id");
  const std::string slow = Run("sleep 60", {{"wait", false}}).at("operation_id");
  const json waited = Call("wait_operations", {{"operation_ids", {quick, slow}}, {"mode", "any"}});
  EXPECT_EQ(waited.at("completed"), json::array({quick})) << waited;
  EXPECT_EQ(waited.at("cancelled"), json::array({slow}));
  EXPECT_EQ(Call("get_operation", {{"operation_id", slow}}).at("state"), "CANCELLED");
}

TEST_F(OperationsTest, AWaitThatTimesOutCancelsNothing) {
  const std::string id = Run("sleep 4; echo done", {{"wait", false}}).at("operation_id");
  const json waited = Call("wait_operations", {{"operation_ids", {id}}, {"timeout", 1}});
  EXPECT_EQ(waited.at("pending"), json::array({id})) << waited;
  EXPECT_EQ(waited.at("timed_out"), true);
  EXPECT_EQ(Call("wait_operations", {{"operation_ids", {id}}}).at("results").at(id).at("stdout"),
            "done\n");
}

TEST_F(OperationsTest, CancelEndsARunningCommand) {
  const std::string id = Run("sleep 60", {{"wait", false}}).at("operation_id");
  const json cancelled = Call("cancel_operation", {{"operation_id", id}});
  EXPECT_EQ(cancelled.at("cancelled"), true) << cancelled;
  EXPECT_EQ(cancelled.at("state"), "CANCELLED");
  const json again = Call("cancel_operation", {{"operation_id", id}});
  EXPECT_EQ(again.at("cancelled"), false) << again;
}

TEST_F(OperationsTest, ListsWhatRan) {
  const std::string id = Run("true").at("operation_id");
  const json listed = Call("list_operations", {{"limit", 5}, {"status", "SUCCESS"}});
  ASSERT_FALSE(listed.at("operations").empty());
  EXPECT_EQ(listed.at("operations")[0].at("uuid"), id) << listed;
  EXPECT_THAT(
      CallForError("get_operation", {{"operation_id", "00000000-0000-4000-8000-000000000000"}}),
      HasSubstr("00000000-0000-4000-8000-000000000000"));
}

TEST_F(OperationsTest, AnOperationOutlivesTheSessionThatStartedIt) {
  std::string id;
  {
    const auto other = NewSession();
    id = CallOn(*other, "run",
                {{"command", "sleep 1; echo survived"}, {"image", kBusybox}, {"wait", false}})
             .at("operation_id");
  }
  const auto later = NewSession();
  const json waited = CallOn(*later, "wait_operations", {{"operation_ids", {id}}});
  EXPECT_EQ(waited.at("results").at(id).at("stdout"), "survived\n") << waited;
}

TEST_F(OperationsTest, SessionsShareOneBackend) {
  const auto other = NewSession();
  const json made = Run("echo shared > /shared", {{"disposable", false}});
  EXPECT_EQ(CallOn(*other, "read_file", {{"image", made.at("result_image")}, {"path", "/shared"}})
                .at("content"),
            "shared\n");
}

TEST_F(OperationsTest, ProgressCarriesTheNewestLineAndTheOperation) {
  const auto session = NewSession();
  const absl::StatusOr<json> answer = session->Request(
      "tools/call",
      {{"name", "run"},
       {"arguments", {{"command", "echo first; sleep 1; echo second"}, {"image", kBusybox}}},
       {"_meta", {{"progressToken", "p1"}}}},
      kAnswerTimeout);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const std::string id = answer->at("result").at("structuredContent").at("operation_id");
  bool id_seen = false;
  bool line_seen = false;
  double last = -1;
  for (const json& notification : session->notifications()) {
    ASSERT_EQ(notification.at("method"), "notifications/progress");
    const json& params = notification.at("params");
    EXPECT_EQ(params.at("progressToken"), "p1");
    EXPECT_GT(params.at("progress").get<double>(), last);
    last = params.at("progress");
    const std::string message = params.value("message", "");
    id_seen |= absl::StrContains(message, id);
    line_seen |= absl::StrContains(message, "first");
  }
  EXPECT_TRUE(id_seen);
  EXPECT_TRUE(line_seen);
}

TEST_F(OperationsTest, AnExplicitCancellationEndsTheCommand) {
  const auto session = NewSession();
  ASSERT_TRUE(session
                  ->Send({{"jsonrpc", "2.0"},
                          {"id", "wait"},
                          {"method", "tools/call"},
                          {"params",
                           {{"name", "run"},
                            {"arguments",
                             {{"command", "sleep 60 # to be cancelled"},
                              {"image", kBusybox},
                              {"timeout", 120}}},
                            {"_meta", {{"progressToken", 1}}}}}})
                  .ok());
  const absl::StatusOr<json> progress = session->Receive(kAnswerTimeout);
  ASSERT_TRUE(progress.ok()) << progress.status();
  ASSERT_TRUE(session
                  ->Send({{"jsonrpc", "2.0"},
                          {"method", "notifications/cancelled"},
                          {"params", {{"requestId", "wait"}}}})
                  .ok());
  // It is gone from the operations that run, and its request is never answered.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  std::string state;
  while (state != "CANCELLED" && absl::Now() < deadline) {
    const json listed = CallOn(*session, "list_operations", {{"limit", 1}});
    state = listed.at("operations").at(0).at("state");
  }
  EXPECT_EQ(state, "CANCELLED");
}

}  // namespace
}  // namespace contree::testing_harness
