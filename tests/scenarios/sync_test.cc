// A directory of the user in a sandbox: synced, used, edited, synced again.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "tests/harness/desk.h"
#include "tests/harness/mcp_http_client.h"
#include "tests/harness/server_process.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

void WriteFile(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << content;
}

class SyncTest : public DeskTest {
 protected:
  std::string File(const std::string& name) const { return directory_.File("project/" + name); }

  json Rsync(const json& more = json::object()) {
    json arguments = {{"source", directory_.File("project")}, {"destination", "/app"}};
    arguments.update(more);
    return Call("rsync", arguments);
  }
  // What a command prints with the files of a state.
  std::string Output(const json& synced, const std::string& command) {
    const json run = Run(command, {{"directory_state_id", synced.at("directory_state_id")}});
    EXPECT_EQ(run.at("exit_code"), 0) << run;
    return run.at("stdout");
  }

  TempDirectory directory_;
};

TEST_F(SyncTest, ATreeGoesIntoASandboxAndFollowsItsSource) {
  WriteFile(File("main.sh"), "#!/bin/sh\ncat /app/data/*\n");
  ASSERT_EQ(chmod(File("main.sh").c_str(), 0750), 0);
  WriteFile(File("data/one"), "one\n");
  WriteFile(File("data/two"), "two\n");
  WriteFile(File("data/name with\nnewline"), "three\n");
  std::filesystem::create_symlink("one", File("data/zlink"));
  const json first = Rsync();
  EXPECT_EQ(first.at("files"), 5);
  EXPECT_EQ(first.at("links_copied"), 1);
  EXPECT_EQ(first.at("not_carried"), json::array());
  EXPECT_EQ(Output(first, "/app/main.sh"), "three\none\ntwo\none\n");
  EXPECT_EQ(Output(first, "stat -c %a /app/main.sh /app/data/one"), "750\n644\n");

  const json unchanged = Rsync();
  EXPECT_EQ(unchanged.at("directory_state_id"), first.at("directory_state_id"));
  EXPECT_EQ(unchanged.at("uploaded_files"), 0);
  EXPECT_EQ(unchanged.at("deleted_files"), 0);

  WriteFile(File("data/two"), "TWO\n");
  WriteFile(File("data/sub/new"), "new\n");
  std::filesystem::remove(File("data/one"));
  std::filesystem::remove(File("data/zlink"));
  const json edited = Rsync();
  EXPECT_NE(edited.at("directory_state_id"), first.at("directory_state_id"));
  EXPECT_EQ(edited.at("files"), 4);
  EXPECT_EQ(edited.at("uploaded_files"), 2);
  EXPECT_EQ(edited.at("uploaded_bytes"), 8);
  EXPECT_EQ(edited.at("reused_files"), 2);
  EXPECT_EQ(edited.at("deleted_files"), 2);
  EXPECT_EQ(
      Output(edited,
             "cd /app/data && cat name* two sub/new && for name in *; do echo \"<$name>\"; done"),
      "three\nTWO\nnew\n<name with\nnewline>\n<sub>\n<two>\n");
  // The first state is what it was.
  EXPECT_EQ(Output(first, "/app/main.sh"), "three\none\ntwo\none\n");
  // Going back gives the first state's id again: it is named by its content.
  WriteFile(File("data/two"), "two\n");
  WriteFile(File("data/one"), "one\n");
  std::filesystem::remove_all(File("data/sub"));
  std::filesystem::create_symlink("one", File("data/zlink"));
  const json back = Rsync();
  EXPECT_EQ(back.at("directory_state_id"), first.at("directory_state_id"));
  EXPECT_EQ(back.at("uploaded_files"), 0);
}

TEST_F(SyncTest, AChangeOfTheModeAloneIsAChange) {
  WriteFile(File("tool"), "#!/bin/sh\necho ran\n");
  EXPECT_EQ(
      Run("/app/tool", {{"directory_state_id", Rsync().at("directory_state_id")}}).at("exit_code"),
      126);
  ASSERT_EQ(chmod(File("tool").c_str(), 0755), 0);
  const json synced = Rsync();
  EXPECT_EQ(synced.at("uploaded_files"), 0);
  EXPECT_EQ(Output(synced, "/app/tool"), "ran\n");
}

TEST_F(SyncTest, AFileThatNobodyMayTouchArrivesSo) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can read it";
  WriteFile(File("closed"), "closed\n");
  ASSERT_EQ(chmod(File("closed").c_str(), 0), 0);
  EXPECT_EQ(Output(Rsync(), "stat -c %a /app/closed"), "0\n");
}

TEST_F(SyncTest, WhatIsExcludedStaysAtHome) {
  WriteFile(File("keep"), "keep");
  WriteFile(File(".gitignore"), "x");
  WriteFile(File(".git/config"), "x");
  WriteFile(File("node_modules/m/index.js"), "x");
  WriteFile(File("sub/node_modules/m/index.js"), "x");
  WriteFile(File("sub/a.pyc"), "x");
  WriteFile(File("sub/a.py"), "x");
  const json synced = Rsync({{"exclude", {".git", "node_modules/", "*.pyc"}}});
  EXPECT_EQ(Output(synced, "cd /app && find . -type f | sort"),
            "./.gitignore\n./keep\n./sub/a.py\n");
  // Another view of the same source finds what is known of its files.
  EXPECT_EQ(Rsync({{"exclude", {".git/", "node_modules/", "*.pyc", "keep"}}}).at("uploaded_files"),
            0);
}

TEST_F(SyncTest, ASingleFileAndAnEmptyTreeWork) {
  WriteFile(File("one.txt"), "single\n");
  json arguments = {{"source", File("one.txt")}, {"destination", "/etc/conf/two.txt"}};
  EXPECT_EQ(Output(Call("rsync", arguments), "cat /etc/conf/two.txt"), "single\n");
  arguments["destination"] = "/etc/conf/";
  EXPECT_EQ(Output(Call("rsync", arguments), "cat /etc/conf/one.txt"), "single\n");
  std::filesystem::create_directories(File("empty"));
  const json empty = Call("rsync", {{"source", File("empty")}, {"destination", "/app"}});
  EXPECT_EQ(empty.at("files"), 0);
  EXPECT_EQ(Output(empty, "echo runs"), "runs\n");
}

TEST_F(SyncTest, SyncsAtTheSameTimeDoNotMixTheirTrees) {
  const auto other = NewSession();
  ASSERT_NE(other, nullptr);
  for (int i = 0; i < 200; ++i) {
    WriteFile(directory_.File("a/" + std::to_string(i)), "a" + std::to_string(i) + "\n");
    WriteFile(directory_.File("b/" + std::to_string(i)), "b" + std::to_string(i) + "\n");
  }
  json of_b;
  json of_a_again;
  std::thread thread([&] {
    of_b = CallOn(*other, "rsync", {{"source", directory_.File("b")}, {"destination", "/app"}});
    of_a_again =
        CallOn(*other, "rsync", {{"source", directory_.File("a")}, {"destination", "/app"}});
  });
  const json of_a = Call("rsync", {{"source", directory_.File("a")}, {"destination", "/app"}});
  thread.join();
  EXPECT_EQ(of_a.at("files"), 200);
  EXPECT_EQ(of_a_again.at("directory_state_id"), of_a.at("directory_state_id"));
  EXPECT_NE(of_b.at("directory_state_id"), of_a.at("directory_state_id"));
  EXPECT_EQ(Output(of_a, "cat /app/* | sort | uniq | wc -l; cat /app/199"), "200\na199\n");
  EXPECT_EQ(Output(of_b, "cat /app/* | sort | uniq | wc -l; cat /app/199"), "200\nb199\n");
}

TEST_F(SyncTest, ALargeFileArrivesWhole) {
  std::string content;
  for (int i = 0; content.size() < 20'000'000; ++i) content += std::to_string(i) + "\n";
  WriteFile(File("large"), content);
  const json synced = Rsync();
  EXPECT_EQ(synced.at("uploaded_bytes"), content.size());
  EXPECT_EQ(Output(synced, "wc -c < /app/large; tail -c 9 /app/large"),
            std::to_string(content.size()) + "\n" + content.substr(content.size() - 9));
}

TEST_F(SyncTest, MistakesSayWhatToDo) {
  EXPECT_THAT(CallForError("rsync", {{"source", File("nope")}, {"destination", "/app"}}),
              HasSubstr(File("nope")));
  EXPECT_THAT(CallForError("rsync", {{"source", directory_.path()}, {"destination", "app"}}),
              HasSubstr("not absolute"));
  EXPECT_THAT(CallForError("run", {{"command", "true"},
                                   {"image", kBusybox},
                                   {"directory_state_id", "ds_ffffffffffffffff"}}),
              AllOf(HasSubstr("ds_ffffffffffffffff"), HasSubstr("rsync")));
}

TEST(SyncOverHttpTest, OnlyBelowTheWorkspaceRoots) {
  TempDirectory state;
  TempDirectory shared;
  TempDirectory secret;
  WriteFile(shared.File("project/file"), "shared\n");
  WriteFile(secret.File("file"), "secret\n");
  std::filesystem::create_symlink(secret.File("file"), shared.File("project/link"));
  const auto server = ServerProcess::Start({Program("standalone/contree-mcp"), "--local", "--mode",
                                            "http", "--http-port", "0", "--state-dir", state.path(),
                                            "--workspace-root", shared.path(), "--no-watch"});
  ASSERT_OK(server);
  ASSERT_OK_AND_ASSIGN(const std::string url, (*server)->WaitForLogField("mcp"));
  McpHttpClient client(url);
  ASSERT_OK_AND_ASSIGN(const json synced,
                       client.CallTool("rsync", {{"source", "project"}, {"destination", "/app"}}));
  EXPECT_EQ(synced["structuredContent"]["files"], 1) << synced;
  EXPECT_EQ(synced["structuredContent"]["not_carried"][0]["paths"], json({"link"})) << synced;
  ASSERT_OK_AND_ASSIGN(const json refused, client.CallTool("rsync", {{"source", secret.path()},
                                                                     {"destination", "/app"}}));
  EXPECT_EQ(refused.value("isError", false), true);
  EXPECT_THAT(refused["content"][0]["text"].get<std::string>(), HasSubstr("outside"));
}

}  // namespace
}  // namespace contree::testing_harness
