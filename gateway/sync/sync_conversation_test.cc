#include "gateway/sync/sync_conversation.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/server/grpc_server.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gateway/sync/synced_trees.h"
#include "gateway/testing/fake_sync_service.h"
#include "gmock/gmock.h"

namespace contree::gateway {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;

void WriteFile(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << content;
}

// Conversations over real gRPC.
class SyncConversationTest : public testing::Test {
 protected:
  SyncConversationTest() : server_(*GrpcServer::Start({}, {&service_})) {
    stub_ = sync::v1::SyncService::NewStub(server_->InProcessChannel());
    std::filesystem::create_directories(File(""));
  }

  std::string File(const std::string& name) const { return directory_.File("tree/" + name); }

  absl::StatusOr<SyncOutcome> TrySync(bool is_watched = false,
                                      const std::string& destination = "/app") {
    const Workspace user = Workspace::OfUser();
    absl::StatusOr<HostSource> source = user.OpenSource(directory_.File("tree"));
    EXPECT_OK(source);
    WatchedTree tree(*TreeRoot::Of(*std::move(source)), {}, 0);
    absl::StatusOr<TreeLook> look = tree.Look({});
    EXPECT_OK(look);
    return HoldSyncConversation(
        *stub_, *look->tree,
        {.source = "machine:tree",
         .view = "",
         .destination = destination,
         .is_watched = is_watched},
        NewCallContext(absl::Seconds(60)),
        [this](const SyncProgress& progress) { progress_.push_back(progress); });
  }
  SyncOutcome Sync() {
    absl::StatusOr<SyncOutcome> outcome = TrySync();
    EXPECT_OK(outcome);
    return outcome.ok() ? *outcome : SyncOutcome{};
  }
  FakeState StateOf(const SyncOutcome& outcome) {
    return service_.state(outcome.result.directory_state_id());
  }
  FakeSync last() { return service_.syncs().back(); }

  TempDirectory directory_;
  FakeSyncService service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<sync::v1::SyncService::StubInterface> stub_;
  std::vector<SyncProgress> progress_;
};

TEST_F(SyncConversationTest, ANewTreeIsHashedAndSentAndTheStateIsWhatLiesThere) {
  WriteFile(File("a.txt"), "a");
  WriteFile(File("empty"), "");
  WriteFile(File("sub/two\nlines"), "b");
  WriteFile(File("sub/run.sh"), "#!/bin/sh");
  ASSERT_EQ(chmod(File("sub/run.sh").c_str(), 0755), 0);
  const std::string large(3'000'000, 'x');
  WriteFile(File("sub/deep/large"), large);
  const SyncOutcome outcome = Sync();
  EXPECT_EQ(StateOf(outcome), (FakeState{{"a.txt", {"a", 0644}},
                                         {"empty", {"", 0644}},
                                         {"sub/deep/large", {large, 0644}},
                                         {"sub/run.sh", {"#!/bin/sh", 0755}},
                                         {"sub/two\nlines", {"b", 0644}}}));
  EXPECT_FALSE(outcome.told_changes);
  EXPECT_EQ(last().hashed, 5);
  EXPECT_EQ(last().contents, 5);
  EXPECT_LT(last().largest_message_bytes, 1 << 20);
}

TEST_F(SyncConversationTest, AnEmptyTreeHasAState) {
  const SyncOutcome outcome = Sync();
  EXPECT_THAT(StateOf(outcome), IsEmpty());
  EXPECT_EQ(Sync().result.directory_state_id(), outcome.result.directory_state_id());
}

TEST_F(SyncConversationTest, ContentsThatAreTheSameAreSentOnce) {
  for (int i = 0; i < 20; ++i) WriteFile(File(std::to_string(i)), "the same");
  EXPECT_EQ(StateOf(Sync()).size(), 20U);
  EXPECT_EQ(last().contents, 1);
}

TEST_F(SyncConversationTest, ManyFilesTravelInFewMessages) {
  for (int i = 0; i < 600; ++i) {
    WriteFile(File(std::to_string(i % 40) + "/" + std::to_string(i)),
              "content " + std::to_string(i));
  }
  const FakeState state = StateOf(Sync());
  ASSERT_EQ(state.size(), 600U);
  for (int i = 0; i < 600; ++i) {
    EXPECT_EQ(state.at(std::to_string(i % 40) + "/" + std::to_string(i)).content,
              "content " + std::to_string(i));
  }
  EXPECT_EQ(last().contents, 600);
  EXPECT_EQ(last().directories, 40);
}

TEST_F(SyncConversationTest, AFileThatChangesBeforeItIsHashedIsCarriedAsItIsThen) {
  WriteFile(File("a"), "old");
  WriteFile(File("b"), "b");
  service_.BeforeNextHash([&] {
    WriteFile(File("a"), "newer");
    chmod(File("a").c_str(), 0600);
  });
  const SyncOutcome outcome = Sync();
  EXPECT_EQ(StateOf(outcome), (FakeState{{"a", {"newer", 0600}}, {"b", {"b", 0644}}}));
  EXPECT_TRUE(outcome.told_changes);
}

TEST_F(SyncConversationTest, AFileThatChangesBeforeItIsSentIsHashedAgain) {
  WriteFile(File("a"), "old");
  WriteFile(File("b"), "b");
  service_.BeforeNextContent([&] { WriteFile(File("a"), "newer"); });
  const SyncOutcome outcome = Sync();
  EXPECT_EQ(StateOf(outcome), (FakeState{{"a", {"newer", 0644}}, {"b", {"b", 0644}}}));
  EXPECT_TRUE(outcome.told_changes);
  EXPECT_EQ(last().void_contents, 1);
}

TEST_F(SyncConversationTest, AFileOfTheSameSizeThatChangesBeforeItIsSentIsNoticed) {
  WriteFile(File("a"), "old");
  service_.BeforeNextContent([&] { WriteFile(File("a"), "new"); });
  EXPECT_EQ(StateOf(Sync()), (FakeState{{"a", {"new", 0644}}}));
  EXPECT_EQ(last().void_contents, 1);
}

TEST_F(SyncConversationTest, AFileThatIsDeletedMeanwhileIsNotInTheState) {
  WriteFile(File("before-hash"), "1");
  WriteFile(File("before-content"), "2");
  WriteFile(File("stays"), "3");
  service_.BeforeNextHash([&] { std::filesystem::remove(File("before-hash")); });
  service_.BeforeNextContent([&] { std::filesystem::remove(File("before-content")); });
  const SyncOutcome outcome = Sync();
  EXPECT_THAT(StateOf(outcome), ElementsAre(Key("stays")));
  EXPECT_THAT(outcome.omissions.all(), IsEmpty());
}

TEST_F(SyncConversationTest, AFileThatBecomesALinkMeanwhileIsNotFollowed) {
  TempDirectory outside;
  WriteFile(outside.File("secret"), "secret");
  WriteFile(File("a"), "public");
  service_.BeforeNextContent([&] {
    std::filesystem::remove(File("a"));
    std::filesystem::create_symlink(outside.File("secret"), File("a"));
  });
  EXPECT_THAT(StateOf(Sync()), IsEmpty());
}

TEST_F(SyncConversationTest, AFileThatGrowsAllTheTimeIsLeftOutAndTold) {
  WriteFile(File("log"), "");
  WriteFile(File("stays"), "x");
  std::jthread writer([&](const std::stop_token& stop) {
    std::ofstream log(File("log"), std::ios::app);
    while (!stop.stop_requested()) log << std::string(20'000, 'x') << std::flush;
  });
  while (std::filesystem::file_size(File("log")) < 2'000'000) std::this_thread::yield();
  const SyncOutcome outcome = Sync();
  EXPECT_THAT(StateOf(outcome), ElementsAre(Key("stays")));
  EXPECT_EQ(outcome.omissions.count(Omission::kUnsettled), 1);
  EXPECT_TRUE(outcome.told_changes);
}

TEST_F(SyncConversationTest, OnlyWhatChangedIsAskedForAgain) {
  for (int i = 0; i < 100; ++i) {
    WriteFile(File(std::to_string(i % 10) + "/" + std::to_string(i)), std::to_string(i));
  }
  Sync();
  // Until nothing is young any more.
  do {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    Sync();
  } while (!last().was_known);
  WriteFile(File("3/3"), "changed");
  const SyncOutcome outcome = Sync();
  EXPECT_EQ(last().listings, 1);
  EXPECT_EQ(last().hashed, 1);
  EXPECT_EQ(last().contents, 1);
  EXPECT_EQ(StateOf(outcome).at("3/3").content, "changed");
}

TEST_F(SyncConversationTest, AnErrorOfTheServiceComesBackAsItIs) {
  for (int i = 0; i < 200; ++i) WriteFile(File(std::to_string(i)), std::to_string(i));
  service_.FailNextSync({grpc::StatusCode::FAILED_PRECONDITION, "'big' is too large"});
  EXPECT_THAT(TrySync(), StatusIs(StatusCode::kFailedPrecondition, HasSubstr("'big'")));
  EXPECT_EQ(Sync().result.files(), 200);
}

TEST_F(SyncConversationTest, CancellingEndsItSoon) {
  WriteFile(File("a"), "x");
  std::stop_source stop;
  service_.BeforeNextHash([&] { stop.request_stop(); });
  WatchedTree tree(*TreeRoot::Of(*Workspace::OfUser().OpenSource(directory_.File("tree"))), {}, 0);
  CallContext context = NewCallContext(absl::Seconds(60));
  context.stop = stop.get_token();
  EXPECT_THAT(
      HoldSyncConversation(*stub_, *tree.Look({})->tree, {}, context, [](const SyncProgress&) {}),
      StatusIs(StatusCode::kCancelled, testing::_));
}

TEST_F(SyncConversationTest, ConversationsGoOnAtTheSameTime) {
  for (int i = 0; i < 150; ++i) WriteFile(File(std::to_string(i)), std::to_string(i));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      const auto outcome = TrySync(false, "/app" + std::to_string(i % 2));
      ASSERT_OK(outcome);
      EXPECT_EQ(StateOf(*outcome).size(), 150U);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace contree::gateway
