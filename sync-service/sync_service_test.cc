#include "sync-service/sync_service.h"

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"
#include "common/rpc/grpc_context.h"
#include "common/server/grpc_server.h"
#include "common/status/grpc_status.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "contree/sync/v1/sync_service.grpc.pb.h"
#include "sync-service/testing/fake_platform.h"
#include "sync-service/testing/scripted_walker.h"

namespace contree {
namespace {

using sync::v1::StateFile;
using sync::v1::SyncRequest;
using sync::v1::SyncResponse;
using sync::v1::SyncResult;
using testing::_;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using testing::UnorderedElementsAre;

// The service behind in-process gRPC, in front of a platform in memory.
class SyncServiceTest : public testing::Test {
 protected:
  SyncServiceTest() {
    auto platform_server = GrpcServer::Start({.listen = ""}, {&platform_});
    EXPECT_OK(platform_server);
    platform_server_ = *std::move(platform_server);
    Start();
  }

  void Start() {
    auto service = SyncService::Create({.state_dir = temp_.File("state"),
                                        .contree_service = platform_server_->InProcessChannel()});
    EXPECT_OK(service);
    service_ = *std::move(service);
    auto server = GrpcServer::Start({.listen = ""}, {service_->grpc_service()});
    EXPECT_OK(server);
    server_ = *std::move(server);
    stub_ = sync::v1::SyncService::NewStub(server_->InProcessChannel());
    walker_ = std::make_unique<ScriptedWalker>(stub_.get());
  }

  void Stop() {
    walker_.reset();
    stub_.reset();
    server_.reset();
    service_.reset();
  }

  absl::StatusOr<std::vector<StateFile>> StateFiles(const std::string& id, bool verify = false) {
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    sync::v1::GetDirectoryStateRequest request;
    request.set_directory_state_id(id);
    request.set_verify(verify);
    const auto reader = stub_->GetDirectoryState(call.client_context(), request);
    std::vector<StateFile> files;
    sync::v1::GetDirectoryStateResponse response;
    while (reader->Read(&response)) {
      EXPECT_LE(response.files_size(), 1000);
      files.insert(files.end(), response.files().begin(), response.files().end());
    }
    if (const grpc::Status status = reader->Finish(); !status.ok()) return FromGrpcStatus(status);
    return files;
  }

  // "path=content mode" of each file of a state.
  std::vector<std::string> Shown(const std::string& id, const std::vector<std::string>& contents) {
    const auto files = StateFiles(id);
    if (!files.ok()) return {files.status().ToString()};
    std::vector<std::string> shown;
    for (const StateFile& file : *files) {
      std::string content = "?";
      for (const std::string& candidate : contents)
        if (platform_.UuidOf(candidate) == file.file_uuid()) content = candidate;
      shown.push_back(absl::StrCat(file.path(), "=", content, " ", absl::Hex(file.mode())));
    }
    return shown;
  }

  TempDirectory temp_;
  FakePlatform platform_;
  std::unique_ptr<GrpcServer> platform_server_;
  std::unique_ptr<SyncService> service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<sync::v1::SyncService::Stub> stub_;
  std::unique_ptr<ScriptedWalker> walker_;
};

ScriptedTree SmallTree() {
  return {{"", {{"README", {.content = "read me"}}}},
          {"src", {{"a.cc", {.content = "a"}}, {"run.sh", {.content = "run", .mode = 0755}}}}};
}

TEST_F(SyncServiceTest, TheFirstSyncHashesAndUploadsEverything) {
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(SmallTree()));
  EXPECT_THAT(result.directory_state_id(), StartsWith("ds_"));
  EXPECT_EQ(result.files(), 3);
  EXPECT_EQ(result.bytes(), 11);
  EXPECT_EQ(result.uploaded_files(), 3);
  EXPECT_EQ(result.uploaded_bytes(), 11);
  EXPECT_EQ(result.reused_files(), 0);
  EXPECT_EQ(result.deleted_files(), 0);
  EXPECT_THAT(walker_->hashed, ElementsAre("README", "src/a.cc", "src/run.sh"));
  EXPECT_THAT(platform_.uploads(), UnorderedElementsAre("read me", "a", "run"));
  EXPECT_THAT(
      Shown(result.directory_state_id(), {"read me", "a", "run"}),
      ElementsAre("/work/README=read me 1a4", "/work/src/a.cc=a 1a4", "/work/src/run.sh=run 1ed"));
}

TEST_F(SyncServiceTest, AnUnchangedTreeCostsItsDigestAlsoAfterARestart) {
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(SmallTree()));
  Stop();
  Start();
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(SmallTree()));
  EXPECT_EQ(second.directory_state_id(), first.directory_state_id());
  EXPECT_EQ(second.files(), 3);
  EXPECT_EQ(second.bytes(), 11);
  EXPECT_EQ(second.uploaded_files(), 0);
  EXPECT_EQ(second.reused_files(), 3);
  EXPECT_FALSE(walker_->was_asked_for_directories);
}

TEST_F(SyncServiceTest, AChangedFileCostsItsDirectorysListingItsHashAndItsContent) {
  ScriptedTree tree = SmallTree();
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(tree));
  tree["src"]["a.cc"] = {.content = "b", .ctime_ns = 2000};
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(tree));
  EXPECT_NE(second.directory_state_id(), first.directory_state_id());
  EXPECT_THAT(walker_->listed, ElementsAre("src"));
  EXPECT_THAT(walker_->hashed, ElementsAre("src/a.cc"));
  EXPECT_THAT(walker_->sent, ElementsAre("src/a.cc"));
  EXPECT_EQ(second.uploaded_files(), 1);
  EXPECT_EQ(second.reused_files(), 2);
  // The state of before is as it was.
  EXPECT_THAT(
      Shown(first.directory_state_id(), {"read me", "a", "run", "b"}),
      ElementsAre("/work/README=read me 1a4", "/work/src/a.cc=a 1a4", "/work/src/run.sh=run 1ed"));
  EXPECT_THAT(
      Shown(second.directory_state_id(), {"read me", "a", "run", "b"}),
      ElementsAre("/work/README=read me 1a4", "/work/src/a.cc=b 1a4", "/work/src/run.sh=run 1ed"));
}

TEST_F(SyncServiceTest, WhatOnlySeemsChangedGivesTheSameStateAndMovesNothing) {
  ScriptedTree tree = SmallTree();
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(tree));
  tree["src"]["a.cc"].mtime_ns = 2000;  // touched
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(tree));
  EXPECT_EQ(second.directory_state_id(), first.directory_state_id());
  EXPECT_THAT(walker_->hashed, ElementsAre("src/a.cc"));
  EXPECT_THAT(walker_->sent, IsEmpty());
}

TEST_F(SyncServiceTest, EveryPartOfTheStatIsLookedAt) {
  ScriptedTree tree = SmallTree();
  ASSERT_OK(walker_->Sync(tree));
  ScriptedFile& file = tree["src"]["a.cc"];
  const std::vector<std::function<void()>> changes = {
      [&] { file.mode = 0600; }, [&] { file.mtime_ns++; }, [&] { file.ctime_ns++; },
      [&] { file.inode++; }, [&] { file.content = "longer"; }};
  for (const auto& change : changes) {
    change();
    ASSERT_OK(walker_->Sync(tree));
    EXPECT_THAT(walker_->hashed, ElementsAre("src/a.cc"));
  }
}

TEST_F(SyncServiceTest, AModeIsPartOfTheState) {
  ScriptedTree tree = SmallTree();
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(tree));
  tree["src"]["a.cc"].mode = 0755;
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(tree));
  EXPECT_NE(second.directory_state_id(), first.directory_state_id());
  EXPECT_EQ(second.uploaded_files(), 0);
}

TEST_F(SyncServiceTest, AYoungFileIsHashedAgainUntilItIsOld) {
  ScriptedTree tree = SmallTree();
  tree["src"]["a.cc"].is_young = true;
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(tree));
  // It changed behind the look, in the same tick: nothing in its stat shows it.
  tree["src"]["a.cc"].content = "z";
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(tree));
  EXPECT_TRUE(walker_->was_asked_for_directories);
  EXPECT_THAT(walker_->hashed, ElementsAre("src/a.cc"));
  EXPECT_NE(second.directory_state_id(), first.directory_state_id());
  tree["src"]["a.cc"].is_young = false;
  ASSERT_OK_AND_ASSIGN(const SyncResult third, walker_->Sync(tree));
  EXPECT_THAT(walker_->hashed, ElementsAre("src/a.cc"));
  EXPECT_EQ(third.directory_state_id(), second.directory_state_id());
  ASSERT_OK(walker_->Sync(tree));
  EXPECT_FALSE(walker_->was_asked_for_directories);
}

TEST_F(SyncServiceTest, AWatchedTreeIsTrustedWithItsYoungFiles) {
  ScriptedTree tree = SmallTree();
  tree["src"]["a.cc"].is_young = true;
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(tree));
  walker_->is_watched = true;
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(tree));
  EXPECT_FALSE(walker_->was_asked_for_directories);
  EXPECT_EQ(second.directory_state_id(), first.directory_state_id());
}

TEST_F(SyncServiceTest, TheSameContentAndDestinationGiveTheSameState) {
  ASSERT_OK_AND_ASSIGN(const SyncResult here, walker_->Sync(SmallTree()));
  walker_->source = "another machine:/elsewhere";
  ScriptedTree tree = SmallTree();
  tree["src"]["a.cc"].inode = 77;
  ASSERT_OK_AND_ASSIGN(const SyncResult there, walker_->Sync(tree));
  EXPECT_EQ(there.directory_state_id(), here.directory_state_id());
  EXPECT_EQ(walker_->hashed.size(), 3U);
  EXPECT_THAT(walker_->sent, IsEmpty());
  walker_->destination = "/elsewhere";
  ASSERT_OK_AND_ASSIGN(const SyncResult elsewhere, walker_->Sync(tree));
  EXPECT_NE(elsewhere.directory_state_id(), here.directory_state_id());
  EXPECT_THAT(walker_->hashed, IsEmpty());
}

TEST_F(SyncServiceTest, DeletedFilesLeaveTheStateAndAreCounted) {
  ScriptedTree tree = SmallTree();
  tree["old"] = {{"x", {.content = "x"}}, {"y", {.content = "y"}}};
  ASSERT_OK(walker_->Sync(tree));
  tree.erase("old");
  tree["src"].erase("a.cc");
  tree["src"]["b.cc"] = {.content = "new"};
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_EQ(result.deleted_files(), 3);
  EXPECT_EQ(result.files(), 3);
  EXPECT_THAT(Shown(result.directory_state_id(), {"read me", "new", "run"}),
              ElementsAre("/work/README=read me 1a4", "/work/src/b.cc=new 1a4",
                          "/work/src/run.sh=run 1ed"));
  ASSERT_OK_AND_ASSIGN(const SyncResult again, walker_->Sync(tree));
  EXPECT_EQ(again.deleted_files(), 0);
}

TEST_F(SyncServiceTest, AnEmptyTreeIsAState) {
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync({}));
  EXPECT_EQ(result.files(), 0);
  ASSERT_OK_AND_ASSIGN(const auto files, StateFiles(result.directory_state_id()));
  EXPECT_THAT(files, IsEmpty());
  ASSERT_OK(walker_->Sync({}));
  EXPECT_FALSE(walker_->was_asked_for_directories);
}

TEST_F(SyncServiceTest, TheRootIsADestination) {
  walker_->destination = "/";
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(SmallTree()));
  ASSERT_OK_AND_ASSIGN(const auto files, StateFiles(result.directory_state_id()));
  EXPECT_EQ(files[0].path(), "/README");
  EXPECT_EQ(files[1].path(), "/src/a.cc");
}

TEST_F(SyncServiceTest, ViewsShareWhatIsKnownOfFiles) {
  ScriptedTree tree = SmallTree();
  ASSERT_OK(walker_->Sync(tree));
  walker_->view = "without run.sh";
  tree["src"].erase("run.sh");
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_THAT(walker_->hashed, IsEmpty());
  EXPECT_EQ(result.files(), 2);
  EXPECT_EQ(result.deleted_files(), 1);
}

TEST_F(SyncServiceTest, WhatThePlatformHasIsNotSent) {
  platform_.Add("read me");
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(SmallTree()));
  EXPECT_THAT(walker_->sent, ElementsAre("src/a.cc", "src/run.sh"));
  EXPECT_EQ(result.uploaded_files(), 2);
  EXPECT_EQ(result.reused_files(), 1);
}

TEST_F(SyncServiceTest, AContentOfManyFilesIsSentOnce) {
  const ScriptedTree tree = {{"", {{"a", {.content = "same"}}, {"b", {.content = "same"}}}},
                             {"d", {{"c", {.content = "same"}}}}};
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_THAT(platform_.uploads(), ElementsAre("same"));
  EXPECT_EQ(result.uploaded_files(), 1);
  EXPECT_EQ(result.reused_files(), 2);
}

TEST_F(SyncServiceTest, ALargeFileIsStreamedAndEmptyOnesGoToo) {
  const std::string large(5'000'000, 'x');
  const ScriptedTree tree = {{"", {{"empty", {}}, {"large", {.content = large}}}}};
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_EQ(result.uploaded_bytes(), 5'000'000);
  EXPECT_THAT(platform_.uploads(), UnorderedElementsAre("", large));
}

TEST_F(SyncServiceTest, ManySmallFilesGoUpTogether) {
  ScriptedTree tree;
  for (int i = 0; i < 3000; ++i)
    tree[absl::StrCat("d", i % 7)][absl::StrCat("f", i)] = {.content = absl::StrCat("content ", i)};
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_EQ(result.uploaded_files(), 3000);
  EXPECT_GT(platform_.most_in_one(), 1);
  EXPECT_LE(platform_.most_in_one(), 32);
  // A thousand hashes are asked about in one call.
  EXPECT_LE(platform_.finds(), 4);
  ASSERT_OK_AND_ASSIGN(const auto files, StateFiles(result.directory_state_id()));
  EXPECT_EQ(files.size(), 3000U);
}

TEST_F(SyncServiceTest, LargerFilesGoUpAtTheSameTimeAndSmallOnesBesideThem) {
  ScriptedTree tree;
  const std::string large(100'000, 'x');
  for (int i = 0; i < 60; ++i) {
    tree["d"][absl::StrCat("large", i)] = {.content = absl::StrCat(large, i)};
    tree["d"][absl::StrCat("small", i)] = {.content = absl::StrCat("content ", i)};
  }
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_EQ(result.uploaded_files(), 120);
  EXPECT_GT(platform_.most_at_once(), 1);
  EXPECT_LE(platform_.most_at_once(), 16 + 4);
}

TEST_F(SyncServiceTest, OneOfABatchThatFailsIsSentAgain) {
  platform_.FailNext({grpc::StatusCode::UNAVAILABLE, "not now"});
  const ScriptedTree tree = {{"", {{"a", {.content = "1"}}, {"b", {.content = "2"}}}}};
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_EQ(result.uploaded_files(), 2);
  EXPECT_THAT(platform_.uploads(), UnorderedElementsAre("1", "2"));
}

TEST_F(SyncServiceTest, AFileThatIsTooLargeIsNamedBeforeAnythingIsSent) {
  ScriptedTree tree = SmallTree();
  tree["src"]["huge.bin"] = {.content = "h", .listed_size = 134'217'728};
  EXPECT_THAT(walker_->Sync(tree),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("'src/huge.bin'"), HasSubstr("134217728 bytes"),
                             HasSubstr("exclude"))));
  EXPECT_THAT(walker_->hashed, IsEmpty());
  EXPECT_THAT(platform_.uploads(), IsEmpty());
}

TEST_F(SyncServiceTest, AFileThatChangedBeforeItWasHashedIsTakenAsItIs) {
  ScriptedTree tree = SmallTree();
  walker_->before_reading = [&](const std::string& path, bool is_sent) {
    if (path == "src/a.cc" && !is_sent) tree["src"]["a.cc"] = {.content = "later", .ctime_ns = 9};
  };
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_EQ(result.bytes(), 15);
  EXPECT_THAT(Shown(result.directory_state_id(), {"read me", "later", "run"}),
              ElementsAre("/work/README=read me 1a4", "/work/src/a.cc=later 1a4",
                          "/work/src/run.sh=run 1ed"));
  // Its stat is known from now on.
  walker_->before_reading = nullptr;
  ASSERT_OK(walker_->Sync(tree));
  EXPECT_TRUE(walker_->was_asked_for_directories);
  EXPECT_THAT(walker_->listed, ElementsAre("src"));
  EXPECT_THAT(walker_->hashed, IsEmpty());
}

TEST_F(SyncServiceTest, AFileThatVanishedIsNotInTheState) {
  ScriptedTree tree = SmallTree();
  walker_->before_reading = [&](const std::string& path, bool) {
    if (path == "src/a.cc") tree["src"].erase("a.cc");
  };
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  EXPECT_EQ(result.files(), 2);
  EXPECT_THAT(Shown(result.directory_state_id(), {"read me", "run"}),
              ElementsAre("/work/README=read me 1a4", "/work/src/run.sh=run 1ed"));
}

TEST_F(SyncServiceTest, AFileThatChangesWhileItIsSentIsHashedAndSentAgain) {
  const std::string large(1'000'000, 'x');
  ScriptedTree tree = {{"", {{"large", {.content = large}}, {"twin", {.content = large}}}}};
  int times = 0;
  walker_->before_reading = [&](const std::string& path, bool is_sent) {
    if (path == "large" && is_sent && ++times == 1)
      tree[""]["large"] = {.content = std::string(700'000, 'y'), .ctime_ns = 9};
  };
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(tree));
  // Its twin has the content of before still.
  EXPECT_THAT(walker_->sent, UnorderedElementsAre("large", "twin", "large"));
  EXPECT_THAT(platform_.uploads(), UnorderedElementsAre(large, std::string(700'000, 'y')));
  EXPECT_EQ(result.bytes(), 1'700'000);
}

TEST_F(SyncServiceTest, AFileThatDoesNotSettleIsAnError) {
  ScriptedTree tree = SmallTree();
  walker_->before_reading = [&](const std::string& path, bool is_sent) {
    ScriptedFile& file = tree["src"]["a.cc"];
    if (path != "src/a.cc" || !is_sent) return;
    file.content += "more";
    ++file.ctime_ns;
  };
  EXPECT_THAT(walker_->Sync(tree),
              StatusIs(absl::StatusCode::kAborted,
                       AllOf(HasSubstr("'src/a.cc'"), HasSubstr("changed 10 times"))));
}

TEST_F(SyncServiceTest, AnUploadThatFailsForTheMomentIsAskedForAgain) {
  platform_.FailNext({grpc::StatusCode::UNAVAILABLE, "restarting"});
  platform_.FailNext({grpc::StatusCode::RESOURCE_EXHAUSTED, "slower"});
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(SmallTree()));
  EXPECT_EQ(result.uploaded_files(), 3);
  EXPECT_EQ(walker_->sent.size(), 5U);
}

TEST_F(SyncServiceTest, AnUploadThatIsRefusedInTheMiddleTellsWhy) {
  const std::string large(5'000'000, 'x');
  const ScriptedTree tree = {{"", {{"large", {.content = large}}}}};
  platform_.FailNextEarly({grpc::StatusCode::UNAVAILABLE, "restarting"});
  ASSERT_OK(walker_->Sync(tree));
  EXPECT_THAT(walker_->sent, ElementsAre("large", "large"));
  EXPECT_THAT(platform_.uploads(), ElementsAre(large));
  platform_.FailNextEarly({grpc::StatusCode::INVALID_ARGUMENT, "the platform has no room"});
  EXPECT_THAT(walker_->Sync({{"", {{"large", {.content = std::string(4'000'000, 'y')}}}}}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("has no room")));
}

TEST_F(SyncServiceTest, AnUploadThatFailsForGoodEndsTheSyncAndNamesTheFile) {
  platform_.FailNext({grpc::StatusCode::PERMISSION_DENIED, "the token may not upload"});
  const ScriptedTree tree = {{"d", {{"f", {.content = "f"}}}}};
  EXPECT_THAT(walker_->Sync(tree),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("'d/f'"), HasSubstr("the token may not upload"))));
  ASSERT_OK(walker_->Sync(tree));
}

TEST_F(SyncServiceTest, WhatArrivedIsNotSentAgainAfterASyncThatFailed) {
  platform_.FailNext({grpc::StatusCode::INVALID_ARGUMENT, "too large"});
  const ScriptedTree tree = {{"", {{"a", {.content = "a"}}, {"b", {.content = "b"}}}}};
  EXPECT_THAT(walker_->Sync(tree), StatusIs(absl::StatusCode::kFailedPrecondition,
                                            HasSubstr("the platform does not take '")));
  platform_.AwaitIdle();
  const size_t before = platform_.uploads().size();
  ASSERT_OK(walker_->Sync(tree));
  EXPECT_EQ(walker_->sent.size(), 2 - before);
}

TEST_F(SyncServiceTest, AContentThatIsNotWhatWasHashedEndsTheSync) {
  ScriptedTree tree = SmallTree();
  walker_->before_reading = [&](const std::string& path, bool is_sent) {
    // A walker that does not see it.
    if (path == "src/a.cc" && is_sent) tree["src"]["a.cc"].content = "b";
  };
  EXPECT_THAT(walker_->Sync(tree),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("'src/a.cc' changed")));
  ASSERT_OK(walker_->Sync(tree));
}

TEST_F(SyncServiceTest, SyncsDoNotWaitForEachOther) {
  platform_.Hold();
  const ScriptedTree held = {{"", {{"f", {.content = "held"}}}}};
  std::thread first([&] {
    ScriptedWalker walker(stub_.get());
    walker.source = "first";
    EXPECT_OK(walker.Sync(held));
  });
  platform_.AwaitBegun(1);
  // Another tree that needs no upload, and the same tree told by another walker.
  platform_.Add("there");
  ASSERT_OK(walker_->Sync({{"", {{"f", {.content = "there"}}}}}));
  std::thread twin([&] {
    ScriptedWalker walker(stub_.get());
    walker.source = "first";
    EXPECT_OK(walker.Sync(held));
  });
  platform_.AwaitBegun(2);
  platform_.Release();
  first.join();
  twin.join();
  ScriptedWalker again(stub_.get());
  again.source = "first";
  ASSERT_OK(again.Sync(held));
  EXPECT_FALSE(again.was_asked_for_directories);
}

TEST_F(SyncServiceTest, ConcurrentSyncsOfOneChangingTreeGiveWholeStates) {
  const std::vector<std::string> contents = {"c0", "c1", "c2", "c3"};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      ScriptedWalker walker(stub_.get());
      for (int round = 0; round < 10; ++round) {
        const int version = (t + round) % 4;
        ScriptedTree tree;
        for (int d = 0; d < 5; ++d) {
          tree[absl::StrCat("d", d)]["f"] = {.content = contents[version],
                                             .ctime_ns = 1000 + version};
        }
        const auto result = walker.Sync(tree);
        ASSERT_OK(result);
        EXPECT_THAT(Shown(result->directory_state_id(), contents),
                    testing::Each(HasSubstr(absl::StrCat("=", contents[version], " "))));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SyncServiceTest, ACallerWhoLeavesEndsItsUploads) {
  platform_.Hold();
  std::thread leaver([&] {
    platform_.AwaitBegun(1);
    server_->Drain(absl::ZeroDuration());
    platform_.Release();
  });
  EXPECT_FALSE(walker_->Sync(SmallTree()).ok());
  leaver.join();
  platform_.AwaitIdle();
  EXPECT_THAT(platform_.uploads(), IsEmpty());
}

TEST_F(SyncServiceTest, AStateThatIsUnknownSaysWhatToDo) {
  EXPECT_THAT(StateFiles("ds_00112233445566778899aabbccddeeff"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("call rsync again")));
  EXPECT_THAT(StateFiles("nonsense"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("'nonsense'")));
}

TEST_F(SyncServiceTest, AStateOfOnePlatformIsNotKnownOnAnother) {
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(SmallTree()));
  platform_.SetPlatform("q");
  EXPECT_THAT(StateFiles(result.directory_state_id()), StatusIs(absl::StatusCode::kNotFound, _));
  ASSERT_OK(walker_->Sync(SmallTree()));
  EXPECT_EQ(walker_->hashed.size(), 3U);
}

TEST_F(SyncServiceTest, ContentsThatExpiredAreNoticedAndUploadedByTheNextSync) {
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(SmallTree()));
  platform_.Remove("run");
  // Nobody knows yet.
  ASSERT_OK(StateFiles(first.directory_state_id()));
  EXPECT_THAT(StateFiles(first.directory_state_id(), /*verify=*/true),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("no longer has 1 of the contents"),
                             HasSubstr("/work/src/run.sh"), HasSubstr("call rsync again"))));
  EXPECT_THAT(StateFiles(first.directory_state_id()),
              StatusIs(absl::StatusCode::kFailedPrecondition, _));
  // Nothing is hashed again for it.
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(SmallTree()));
  EXPECT_THAT(walker_->hashed, IsEmpty());
  EXPECT_THAT(walker_->sent, ElementsAre("src/run.sh"));
  EXPECT_EQ(second.directory_state_id(), first.directory_state_id());
  EXPECT_THAT(
      Shown(first.directory_state_id(), {"read me", "a", "run"}),
      ElementsAre("/work/README=read me 1a4", "/work/src/a.cc=a 1a4", "/work/src/run.sh=run 1ed"));
  ASSERT_OK(walker_->Sync(SmallTree()));
  EXPECT_FALSE(walker_->was_asked_for_directories);
}

TEST_F(SyncServiceTest, AStateHealsItselfWhereThePlatformHasItsContents) {
  ASSERT_OK_AND_ASSIGN(const SyncResult result, walker_->Sync(SmallTree()));
  Stop();
  for (const char* suffix : {"", "-wal", "-shm"})
    std::remove(absl::StrCat(temp_.File("state"), "/sync-cache.db", suffix).c_str());
  Start();
  EXPECT_THAT(
      Shown(result.directory_state_id(), {"read me", "a", "run"}),
      ElementsAre("/work/README=read me 1a4", "/work/src/a.cc=a 1a4", "/work/src/run.sh=run 1ed"));
}

TEST_F(SyncServiceTest, AStateThatIsLostIsMadeAgainWithoutReadingFiles) {
  ASSERT_OK_AND_ASSIGN(const SyncResult first, walker_->Sync(SmallTree()));
  Stop();
  for (const char* suffix : {"", "-wal", "-shm"})
    std::remove(absl::StrCat(temp_.File("state"), "/sync.db", suffix).c_str());
  Start();
  ASSERT_OK_AND_ASSIGN(const SyncResult second, walker_->Sync(SmallTree()));
  EXPECT_THAT(walker_->hashed, IsEmpty());
  EXPECT_EQ(second.directory_state_id(), first.directory_state_id());
  ASSERT_OK_AND_ASSIGN(const auto files, StateFiles(second.directory_state_id()));
  EXPECT_EQ(files.size(), 3U);
}

// What a walker that keeps to no rules is told.
class SyncMessagesTest : public SyncServiceTest {
 protected:
  // Sends all of these whatever comes, and returns how the call ended.
  absl::Status Send(const std::vector<SyncRequest>& requests) {
    OutgoingCall call(NewCallContext(absl::Seconds(20)));
    const auto stream = stub_->Sync(call.client_context());
    for (const SyncRequest& request : requests) stream->Write(request);
    stream->WritesDone();
    SyncResponse response;
    while (stream->Read(&response)) {
    }
    return FromGrpcStatus(stream->Finish());
  }

  static SyncRequest Begin(const std::string& digest = std::string(32, 'd')) {
    SyncRequest request;
    request.mutable_begin()->set_source("s");
    request.mutable_begin()->set_destination("/work");
    request.mutable_begin()->set_tree_digest(digest);
    return request;
  }
  static SyncRequest Directories(const std::vector<std::string>& paths) {
    SyncRequest request;
    for (const std::string& path : paths) request.mutable_directories()->add_paths(path);
    request.mutable_directories()->set_digests(std::string(32 * paths.size(), 'x'));
    request.mutable_directories()->set_last(true);
    return request;
  }
  // One directory with this listing, told truly.
  std::vector<SyncRequest> WithListing(const sync::v1::DirectoryListing& listing) {
    const std::string bytes = listing.SerializeAsString();
    SyncRequest directories = Directories({"d"});
    directories.mutable_directories()->set_digests(Sha256Bytes(bytes));
    SyncRequest listings;
    listings.mutable_listings()->add_directories(0);
    listings.mutable_listings()->add_listings(bytes);
    listings.mutable_listings()->set_last(true);
    return {Begin(Sha256Bytes(absl::StrCat("d", absl::string_view("\0", 1), Sha256Bytes(bytes)))),
            directories, listings};
  }
  static sync::v1::DirectoryListing Listing(const std::vector<std::string>& names) {
    sync::v1::DirectoryListing listing;
    for (const std::string& name : names) {
      absl::StrAppend(listing.mutable_names(), name, absl::string_view("\0", 1));
      listing.add_modes(0644);
      listing.add_sizes(1);
      listing.add_mtimes_ns(1);
      listing.add_ctimes_ns(1);
      listing.add_inodes(1);
    }
    return listing;
  }
  static testing::Matcher<absl::Status> IsInvalid(const std::string& part) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(part));
  }
};

TEST_F(SyncMessagesTest, MessagesOutOfOrder) {
  EXPECT_THAT(Send({}), IsInvalid("ended the conversation"));
  EXPECT_THAT(Send({SyncRequest()}), IsInvalid("holds nothing"));
  EXPECT_THAT(Send({Directories({""})}), IsInvalid("directories were not asked for"));
  EXPECT_THAT(Send({Begin(), Begin()}), IsInvalid("begins once"));
  EXPECT_THAT(Send({Begin()}), IsInvalid("ended the conversation"));
  SyncRequest hashes;
  hashes.mutable_hashed();
  EXPECT_THAT(Send({Begin(), hashes}), IsInvalid("hashes were not asked for"));
  SyncRequest contents;
  contents.mutable_contents();
  EXPECT_THAT(Send({Begin(), contents}), IsInvalid("contents were not asked for"));
}

TEST_F(SyncMessagesTest, BeginIsChecked) {
  SyncRequest request = Begin("short");
  EXPECT_THAT(Send({request}), IsInvalid("tree_digest has 5 bytes"));
  for (const char* destination : {"", "work", "/work/", "/a//b", "/a/../b", "/.", "//"}) {
    request = Begin();
    request.mutable_begin()->set_destination(destination);
    EXPECT_THAT(Send({request}), IsInvalid(absl::StrCat("destination '", destination)));
  }
  request = Begin();
  request.mutable_begin()->clear_source();
  EXPECT_THAT(Send({request}), IsInvalid("source is empty"));
  request.mutable_begin()->set_source(std::string(9000, 's'));
  EXPECT_THAT(Send({request}), IsInvalid("source has 9000 bytes"));
}

TEST_F(SyncMessagesTest, DirectoriesAreChecked) {
  for (const char* path : {"/a", "a/", "a//b", "..", "a/../b", ".", "\xff", "a/\xc3"})
    EXPECT_THAT(Send({Begin(), Directories({path})}), IsInvalid("is not valid"));
  EXPECT_THAT(Send({Begin(), Directories({"b", "a"})}), IsInvalid("not sorted at 'a'"));
  EXPECT_THAT(Send({Begin(), Directories({"a", "a"})}), IsInvalid("not sorted at 'a'"));
  SyncRequest request = Directories({"a"});
  request.mutable_directories()->set_first(1);
  EXPECT_THAT(Send({Begin(), request}), IsInvalid("go on with number 1, not with 0"));
  request = Directories({"a"});
  request.mutable_directories()->set_digests("x");
  EXPECT_THAT(Send({Begin(), request}), IsInvalid("1 bytes of digests"));
  EXPECT_THAT(Send({Begin(), Directories({"a"})}), IsInvalid("not those of the tree_digest"));
}

TEST_F(SyncMessagesTest, ListingsAreChecked) {
  for (const char* name : {"", ".", "..", "a/b", "\xff"})
    EXPECT_THAT(Send(WithListing(Listing({name}))), IsInvalid("is no name"));
  EXPECT_THAT(Send(WithListing(Listing({"b", "a"}))), IsInvalid("not sorted at 'a'"));
  sync::v1::DirectoryListing listing = Listing({"a"});
  listing.add_sizes(1);
  EXPECT_THAT(Send(WithListing(listing)), IsInvalid("different lengths"));
  listing = Listing({"a"});
  listing.set_names("a");
  EXPECT_THAT(Send(WithListing(listing)), IsInvalid("has no end"));
  listing = Listing({"a"});
  listing.set_modes(0, 0100644);
  EXPECT_THAT(Send(WithListing(listing)), IsInvalid("no permissions"));
  listing = Listing({"a"});
  listing.set_sizes(0, -1);
  EXPECT_THAT(Send(WithListing(listing)), IsInvalid("is negative"));
  listing = Listing({"a"});
  listing.add_young(1);
  EXPECT_THAT(Send(WithListing(listing)), IsInvalid("young"));
  std::vector<SyncRequest> requests = WithListing(Listing({"a"}));
  requests[2].mutable_listings()->set_listings(0, "other");
  EXPECT_THAT(Send(requests), IsInvalid("has not its digest"));
  requests[2].mutable_listings()->set_directories(0, 7);
  EXPECT_THAT(Send(requests), IsInvalid("number 7 was not asked for"));
  requests[2].Clear();
  requests[2].mutable_listings()->set_last(true);
  EXPECT_THAT(Send(requests), IsInvalid("1 listings that were asked for did not come"));
}

TEST_F(SyncMessagesTest, HashesAndContentsAreChecked) {
  const std::vector<SyncRequest> begun = WithListing(Listing({"a"}));
  const auto send = [&](std::vector<SyncRequest> more) {
    std::vector<SyncRequest> all = begun;
    all.insert(all.end(), more.begin(), more.end());
    return Send(all);
  };
  SyncRequest hashed;
  hashed.mutable_hashed()->mutable_files()->add_directories(0);
  hashed.mutable_hashed()->mutable_files()->add_files(0);
  EXPECT_THAT(send({hashed}), IsInvalid("different lengths"));
  hashed.mutable_hashed()->set_sha256s(std::string(32, '\0'));
  EXPECT_THAT(send({hashed}), IsInvalid("'d/a' has no hash"));
  hashed.mutable_hashed()->set_sha256s(Sha256Bytes("z"));
  EXPECT_THAT(send({hashed, hashed}), IsInvalid("the hash of 'd/a' was not asked for"));
  SyncRequest other = hashed;
  other.mutable_hashed()->mutable_files()->set_files(0, 5);
  EXPECT_THAT(send({other}), IsInvalid("file number 5 of directory number 0"));

  SyncRequest contents;
  sync::v1::SyncContent* content = contents.mutable_contents()->add_contents();
  content->set_data("z");
  content->set_last(true);
  EXPECT_THAT(send({contents}), IsInvalid("the content of 'd/a' was not asked for"));
  content->set_file(9);
  EXPECT_THAT(send({hashed, contents}), IsInvalid("was not asked for"));
  content->set_file(0);
  content->set_data(std::string((256 << 10) + 1, 'z'));
  EXPECT_THAT(send({hashed, contents}), IsInvalid("262145 bytes"));
  content->set_data("zz");
  EXPECT_THAT(send({hashed, contents}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("'d/a' was listed with 1 bytes")));
}

}  // namespace
}  // namespace contree
