#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gateway/testing/fake_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;

void WriteFile(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << content;
}

class RsyncTest : public testing::Test {
 protected:
  RsyncTest() { std::filesystem::create_directories(File("")); }

  std::string File(const std::string& name) const { return directory_.File("tree/" + name); }
  json Rsync(json more = json::object()) {
    json arguments = {{"source", directory_.File("tree")}, {"destination", "/app"}};
    arguments.update(more);
    return backend_.CallOk("rsync", arguments);
  }
  std::string Error(const json& more) {
    json arguments = {{"source", directory_.File("tree")}, {"destination", "/app"}};
    arguments.update(more);
    return backend_.CallError("rsync", arguments);
  }
  FakeState StateOf(const json& result) {
    return backend_.sync_service().state(result.at("directory_state_id"));
  }
  FakeSync last() { return backend_.sync_service().syncs().back(); }

  TempDirectory directory_;
  FakeBackend backend_;
};

TEST_F(RsyncTest, ADirectoryBecomesAStateAndTheResultTellsAll) {
  WriteFile(File("a.txt"), "a");
  WriteFile(File("sub/b.txt"), "bb");
  json result = Rsync();
  EXPECT_THAT(StateOf(result), ElementsAre(Key("a.txt"), Key("sub/b.txt")));
  EXPECT_GE(result.at("duration_seconds").get<double>(), 0);
  result.erase("duration_seconds");
  result.erase("directory_state_id");
  result.erase("bytes");  // the service's
  EXPECT_EQ(result, json({{"files", 2},
                          {"uploaded_files", 2},
                          {"uploaded_bytes", 3},
                          {"reused_files", 0},
                          {"deleted_files", 0},
                          {"links_copied", 0},
                          {"not_carried", json::array()}}));
  EXPECT_EQ(last().begin.destination(), "/app");
  EXPECT_THAT(last().begin.source(), HasSubstr(":" + directory_.path() + "/tree"));
}

TEST_F(RsyncTest, AWatchedTreeThatDidNotChangeIsAnsweredByItsDigest) {
  WriteFile(File("a.txt"), "a");
  const json first = Rsync();
  const json second = Rsync();
  EXPECT_TRUE(last().was_known);
  EXPECT_TRUE(last().begin.is_watched());
  EXPECT_EQ(second.at("directory_state_id"), first.at("directory_state_id"));
  WriteFile(File("a.txt"), "b");
  const json third = Rsync();
  EXPECT_FALSE(last().was_known);
  EXPECT_NE(third.at("directory_state_id"), first.at("directory_state_id"));
  EXPECT_EQ(StateOf(third).at("a.txt").content, "b");
  std::filesystem::remove(File("a.txt"));
  EXPECT_THAT(StateOf(Rsync()), IsEmpty());
}

TEST_F(RsyncTest, AFileThatChangedWhileItWasReadIsLookedAtAgain) {
  WriteFile(File("a.txt"), "old");
  backend_.sync_service().BeforeNextHash([&] { WriteFile(File("a.txt"), "new"); });
  EXPECT_EQ(StateOf(Rsync()).at("a.txt").content, "new");
  const json second = Rsync();
  EXPECT_FALSE(last().begin.is_watched());
  EXPECT_EQ(StateOf(second).at("a.txt").content, "new");
}

TEST_F(RsyncTest, ExcludesHaveTheMeaningOfGitignore) {
  for (const char* name : {"keep.py", "__pycache__/x.pyc", "sub/__pycache__/y.pyc", ".git/config",
                           ".gitignore", "dist/a", "sub/dist/b", "notes.log", "important.log"}) {
    WriteFile(File(name), name);
  }
  const json result =
      Rsync({{"exclude", {"__pycache__", ".git/", "/dist", "*.log", "!important.log"}}});
  EXPECT_THAT(StateOf(result), ElementsAre(Key(".gitignore"), Key("important.log"), Key("keep.py"),
                                           Key("sub/dist/b")));
  EXPECT_THAT(Error({{"exclude", {"ok", "[unfinished"}}}), HasSubstr("[unfinished"));
}

TEST_F(RsyncTest, WhatCannotBeCarriedIsTold) {
  WriteFile(File("real"), "x");
  std::filesystem::create_symlink("real", File("copy"));
  std::filesystem::create_symlink("/etc", File("etc"));
  std::filesystem::create_directories(File("empty"));
  ASSERT_EQ(mkfifo(File("pipe").c_str(), 0600), 0);
  WriteFile(File("bad\xff"), "x");
  const json result = Rsync();
  EXPECT_EQ(result.at("links_copied"), 1);
  EXPECT_EQ(result.at("not_carried"),
            json({{{"what", "symbolic links that lead out of the source"},
                   {"count", 1},
                   {"paths", {"etc"}}},
                  {{"what", "empty directories"}, {"count", 1}, {"paths", {"empty"}}},
                  {{"what", "sockets, pipes and devices"}, {"count", 1}, {"paths", {"pipe"}}},
                  {{"what", "names that are not UTF-8"}, {"count", 1}, {"paths", {"bad\\xff"}}}}));
}

TEST_F(RsyncTest, ASingleFileGoesWhereItIsSent) {
  WriteFile(File("one.txt"), "content");
  chmod(File("one.txt").c_str(), 0755);
  const std::string source = File("one.txt");
  json result = Rsync({{"source", source}, {"destination", "/etc/app/two.conf"}});
  EXPECT_EQ(StateOf(result), (FakeState{{"two.conf", {"content", 0755}}}));
  EXPECT_EQ(last().begin.destination(), "/etc/app");
  result = Rsync({{"source", source}, {"destination", "/etc/app/"}});
  EXPECT_EQ(StateOf(result), (FakeState{{"one.txt", {"content", 0755}}}));
  EXPECT_EQ(last().begin.destination(), "/etc/app");
  result = Rsync({{"source", source}, {"destination", "/one"}});
  EXPECT_EQ(StateOf(result), (FakeState{{"one", {"content", 0755}}}));
  EXPECT_EQ(last().begin.destination(), "/");
  Rsync({{"source", source}, {"destination", "/"}});
  EXPECT_EQ(last().begin.destination(), "/");
}

TEST_F(RsyncTest, AnEmptyTreeIsSynced) {
  const json result = Rsync();
  EXPECT_EQ(result.at("files"), 0);
  EXPECT_THAT(StateOf(result), IsEmpty());
}

TEST_F(RsyncTest, DestinationsAreCleaned) {
  WriteFile(File("a"), "a");
  Rsync({{"destination", "//app/./src//"}});
  EXPECT_EQ(last().begin.destination(), "/app/src");
  Rsync({{"destination", "/"}});
  EXPECT_EQ(last().begin.destination(), "/");
}

TEST_F(RsyncTest, MistakesSayWhatToDo) {
  EXPECT_THAT(Error({{"destination", "app"}}), AllOf(HasSubstr("'app'"), HasSubstr("/app")));
  EXPECT_THAT(Error({{"destination", "/app/../etc"}}), HasSubstr(".."));
  EXPECT_THAT(Error({{"destination", "/" + std::string(5000, 'x')}}), HasSubstr("4096"));
  EXPECT_THAT(Error({{"source", File("nope")}}), HasSubstr(File("nope")));
  EXPECT_THAT(Error({{"source", "/dev/null"}}), HasSubstr("device"));
  EXPECT_THAT(Error({{"source", "/proc"}}), HasSubstr("kernel"));
  EXPECT_THAT(Error({{"exclude", {"!"}}}), HasSubstr("'!'"));
  backend_.RemoveSync();
  EXPECT_THAT(Error(json::object()), HasSubstr("--sync-service"));
}

TEST_F(RsyncTest, AnErrorOfTheServiceComesBackAsItIs) {
  WriteFile(File("a"), "a");
  backend_.sync_service().FailNextSync(
      {grpc::StatusCode::FAILED_PRECONDITION, "'a' is larger than the platform takes"});
  EXPECT_THAT(Error(json::object()), HasSubstr("larger than the platform takes"));
  EXPECT_EQ(Rsync().at("files"), 1);
}

TEST_F(RsyncTest, BelowWorkspaceRootsNothingElseIsSynced) {
  WriteFile(File("a"), "a");
  WriteFile(directory_.File("outside/secret"), "secret");
  std::filesystem::create_symlink("../outside", File("way-out"));
  std::filesystem::create_symlink("../outside/secret", File("secret"));
  ASSERT_OK_AND_ASSIGN(Workspace workspace, Workspace::Below({directory_.File("tree")}));
  backend_.SetWorkspace(std::move(workspace));
  EXPECT_THAT(StateOf(Rsync()), ElementsAre(Key("a")));
  for (const std::string& path :
       {directory_.File("outside"), File("way-out"), File("../outside")}) {
    EXPECT_THAT(Error({{"source", path}}), HasSubstr("outside of what this server may touch"));
  }
  backend_.SetWorkspace(Workspace());
  EXPECT_THAT(Error(json::object()), AllOf(HasSubstr("rsync"), HasSubstr("--workspace-root")));
}

TEST_F(RsyncTest, ALongSyncTellsHowFarItIs) {
  WriteFile(File("a"), std::string(100'000, 'x'));
  std::vector<std::string> messages;
  absl::Mutex mutex;
  RequestContext context;
  context.call = NewCallContext(absl::Seconds(60));
  context.report_progress = [&](absl::string_view message) {
    absl::MutexLock lock(&mutex);
    messages.emplace_back(message);
  };
  // The service takes its time until it was told of it.
  backend_.sync_service().BeforeNextContent([&] {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(
        +[](std::vector<std::string>* told) { return !told->empty(); }, &messages));
  });
  backend_.Call("rsync", {{"source", directory_.File("tree")}, {"destination", "/app"}}, context);
  ASSERT_FALSE(messages.empty());
  EXPECT_THAT(messages.front(),
              AnyOf("read 1 of 1 files (97.7 KiB of 97.7 KiB)", HasSubstr("read 0 of 0 files")));
}

}  // namespace
}  // namespace contree::gateway
