// What each resource says, read by its URI.

#include <atomic>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/synchronization/mutex.h"
#include "common/testing/status_matchers.h"
#include "gateway/jsonrpc/error.h"
#include "gateway/testing/fake_backend.h"

namespace contree::gateway {
namespace {

using contree::v1::FileEntry;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class ResourcesTest : public testing::Test {
 protected:
  ResourceRegistry::ReadResult Read(const std::string& uri) {
    RequestContext context;
    context.call = NewCallContext(absl::Seconds(60));
    absl::StatusOr<ResourceRegistry::ReadResult> result = backend_.resources().Read(uri, context);
    EXPECT_OK(result) << uri;
    return result.ok() ? *std::move(result) : ResourceRegistry::ReadResult{};
  }
  std::string Text(const std::string& uri) {
    const ResourceRegistry::ReadResult result = Read(uri);
    EXPECT_TRUE(result.content.is_text) << uri;
    return result.content.data;
  }
  // The reading has to fail as it does where nothing is there.
  std::string MissingError(const std::string& uri) {
    RequestContext context;
    context.call = NewCallContext(absl::Seconds(60));
    const absl::Status status = backend_.resources().Read(uri, context).status();
    EXPECT_EQ(JsonRpcCode(status), kResourceNotFoundCode) << uri << ": " << status;
    return std::string(status.message());
  }
  void AddFinished(const std::string& id, contree::v1::Operation record) {
    backend_.service().AddOperation(id);
    backend_.service().Complete(id, std::move(record));
  }

  FakeBackend backend_;
};

TEST_F(ResourcesTest, AFileIsTextWhereItIsUtf8AndABlobWhereItIsNot) {
  backend_.service().AddFile("/etc/passwd", "root:x:0:0\n");
  backend_.service().AddFile("/a/photo.png", "\x89PNG\xff");
  backend_.service().AddFile("/a/odd.py", "\xff");
  backend_.service().AddFile("/a/b c.py", "print('ü')");
  const auto text = Read("contree://image/tag:busybox:latest/read/etc/passwd");
  EXPECT_EQ(text.content.data, "root:x:0:0\n");
  EXPECT_EQ(text.content.mime_type, "text/plain");
  const auto blob = Read("contree://image/tag%3Abusybox%3Alatest/read/a/photo.png");
  EXPECT_FALSE(blob.content.is_text);
  EXPECT_EQ(blob.content.mime_type, "image/png");
  EXPECT_FALSE(Read("contree://image/tag:busybox:latest/read/a/odd.py").content.is_text);
  const auto decoded = Read("contree://image/tag:busybox:latest/read/a%2Fb%20c.py");
  EXPECT_EQ(decoded.content.data, "print('ü')");
  EXPECT_EQ(decoded.content.mime_type, "text/x-python");
  EXPECT_EQ(Text("contree://image/tag:busybox:latest/read//etc/passwd"), "root:x:0:0\n");
}

TEST_F(ResourcesTest, WhatAUuidNamesMayBeKeptWhatATagNamesMayNot) {
  backend_.service().AddFile("/x", "x");
  EXPECT_GT(Read(std::string("contree://image/") + kBusyboxUuid + "/read/x").cache.ttl,
            absl::Minutes(1));
  EXPECT_EQ(Read("contree://image/tag:busybox:latest/read/x").cache.ttl, absl::ZeroDuration());
}

TEST_F(ResourcesTest, AMissingFileOrImageIsNoResource) {
  EXPECT_THAT(MissingError("contree://image/tag:busybox:latest/read/nope"),
              AllOf(HasSubstr("/nope"), HasSubstr("list_files")));
  EXPECT_THAT(MissingError("contree://image/tag:nope/read/etc/passwd"), HasSubstr("tag:nope"));
  EXPECT_THAT(MissingError("contree://image/tag:nope/ls/."), HasSubstr("tag:nope"));
  EXPECT_THAT(MissingError("contree://image/tag:nope/lineage"), HasSubstr("tag:nope"));
  EXPECT_THAT(MissingError("contree://image/"), HasSubstr("resources/templates/list"));
}

TEST_F(ResourcesTest, ADirectoryIsListedAsLsWould) {
  const auto add = [this](const std::string& name, contree::v1::FileType type, uint32_t mode,
                          int64_t size, const std::string& owner, const std::string& target) {
    FileEntry entry;
    entry.set_name(name);
    entry.set_type(type);
    entry.set_mode(mode);
    entry.set_size(size);
    entry.set_owner(owner);
    entry.set_gid(7);
    entry.mutable_mtime()->set_seconds(86400 + 3660);
    entry.set_symlink_target(target);
    backend_.service().AddEntry(entry);
  };
  add("bin", contree::v1::FILE_TYPE_DIRECTORY, 01777, 4096, "root", "");
  add("link", contree::v1::FILE_TYPE_SYMLINK, 0777, 3, "root", "bin");
  add("pipe", contree::v1::FILE_TYPE_FIFO, 0600, 0, "1000", "");
  add("sudo", contree::v1::FILE_TYPE_REGULAR, 06754, 123456, "root", "");
  const std::string listing =
      "drwxrwxrwt root 7   4096 1970-01-02 01:01 bin\n"
      "lrwxrwxrwx root 7      3 1970-01-02 01:01 link -> bin\n"
      "prw------- 1000 7      0 1970-01-02 01:01 pipe\n"
      "-rwsr-sr-- root 7 123456 1970-01-02 01:01 sudo\n";
  for (const char* uri :
       {"contree://image/tag:busybox:latest/ls/.", "contree://image/tag:busybox:latest/ls/usr/",
        "contree://image/tag:busybox:latest/ls/%2Fusr"}) {
    EXPECT_EQ(Text(uri), listing) << uri;
  }
}

TEST_F(ResourcesTest, LineageSaysAllThatIsKnown) {
  contree::v1::ImageLineage lineage;
  lineage.set_image(kBusyboxUuid);
  lineage.mutable_parent()->set_image("parent");
  lineage.mutable_parent()->set_command("make");
  lineage.mutable_parent()->set_exit_code(2);
  lineage.mutable_parent()->set_operation_id("op");
  lineage.add_children("child");
  lineage.add_ancestors("parent");
  lineage.add_ancestors("root");
  lineage.mutable_root()->set_image("root");
  lineage.mutable_root()->set_registry_url("docker://docker.io/library/alpine:latest");
  lineage.mutable_root()->set_is_import(true);
  lineage.set_depth(2);
  lineage.set_is_known(true);
  backend_.service().AddLineage(lineage);
  EXPECT_EQ(
      json::parse(Text("contree://image/tag:busybox:latest/lineage")),
      json({{"image", kBusyboxUuid},
            {"parent",
             {{"image", "parent"}, {"command", "make"}, {"exit_code", 2}, {"operation_id", "op"}}},
            {"children", json::array({"child"})},
            {"ancestors", json::array({"parent", "root"})},
            {"root",
             {{"image", "root"},
              {"registry_url", "docker://docker.io/library/alpine:latest"},
              {"is_import", true}}},
            {"depth", 2},
            {"is_known", true}}));
}

TEST_F(ResourcesTest, AnImageOfUnknownOriginSaysSo) {
  contree::v1::ImageLineage lineage;
  lineage.set_image(kBusyboxUuid);
  backend_.service().AddLineage(lineage);
  EXPECT_EQ(json::parse(Text("contree://image/tag:busybox:latest/lineage")),
            json({{"image", kBusyboxUuid},
                  {"children", json::array()},
                  {"ancestors", json::array()},
                  {"depth", 0},
                  {"is_known", false}}));
}

TEST_F(ResourcesTest, ARunIsItsRecordAndMayBeKeptOnceItHasEnded) {
  backend_.service().AddOperation("runs");
  const auto running = Read("contree://operations/instance/runs");
  EXPECT_EQ(json::parse(running.content.data)["state"], "EXECUTING");
  EXPECT_EQ(running.cache.ttl, absl::ZeroDuration());
  contree::v1::Operation record;
  record.set_kind(contree::v1::OPERATION_KIND_INSTANCE);
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  record.mutable_instance()->mutable_stdout()->set_data("hi\n");
  AddFinished("ended", record);
  const auto ended = Read("contree://operations/instance/ended");
  EXPECT_EQ(json::parse(ended.content.data)["stdout"], "hi\n");
  EXPECT_GT(ended.cache.ttl, absl::Minutes(1));
}

TEST_F(ResourcesTest, AnImportIsLinesOfWhatIsKnown) {
  contree::v1::Operation record;
  record.set_kind(contree::v1::OPERATION_KIND_IMAGE_IMPORT);
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  record.set_result_image("image-1");
  record.set_result_tag("alpine:latest");
  record.mutable_import()->set_registry_url("docker://docker.io/library/alpine:latest");
  AddFinished("done", record);
  EXPECT_EQ(Text("contree://operations/import/done"),
            "STATE: SUCCESS\nRESULT_IMAGE: image-1\nRESULT_TAG: alpine:latest\n"
            "REGISTRY_URL: docker://docker.io/library/alpine:latest\n");
  contree::v1::Operation failed;
  failed.set_kind(contree::v1::OPERATION_KIND_IMAGE_IMPORT);
  failed.set_state(contree::v1::OPERATION_STATE_FAILED);
  failed.set_error("no such repository");
  AddFinished("failed", failed);
  EXPECT_EQ(Text("contree://operations/import/failed"),
            "STATE: FAILED\nERROR: no such repository\n");
}

TEST_F(ResourcesTest, AnOperationOfTheOtherKindIsAnErrorThatSaysWhereItIs) {
  backend_.service().AddOperation("run-1");
  EXPECT_THAT(MissingError("contree://operations/import/run-1"),
              HasSubstr("contree://operations/instance/run-1"));
  EXPECT_THAT(MissingError("contree://operations/instance/nope"), HasSubstr("nope"));
}

TEST_F(ResourcesTest, GuidesAreListedAndReadable) {
  const json listed = json::parse(backend_.resources().ListJson())["resources"];
  ASSERT_EQ(listed.size(), 7U);
  for (const json& resource : listed) {
    EXPECT_THAT(Text(resource["uri"]), testing::StartsWith("# ")) << resource;
    EXPECT_EQ(resource["mimeType"], "text/markdown");
  }
  EXPECT_THAT(MissingError("contree://guide/nope"),
              AllOf(HasSubstr("'nope'"), HasSubstr("quickstart")));
}

// Counts what a watch says.
class Changes {
 public:
  ResourceChanged Callback() {
    return [this](bool is_final) {
      absl::MutexLock lock(&mutex_);
      ++count_;
      is_final_ = is_final;
    };
  }
  void WaitFor(int count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [this, count]()
                            ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return count_ >= count; };
    mutex_.Await(absl::Condition(&enough));
  }
  void WaitForEnd() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&is_final_));
  }
  int count() {
    absl::MutexLock lock(&mutex_);
    return count_;
  }

 private:
  absl::Mutex mutex_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool is_final_ ABSL_GUARDED_BY(mutex_) = false;
};

contree::v1::OperationEvent StateEvent(contree::v1::OperationState state) {
  contree::v1::OperationEvent event;
  event.mutable_state_changed()->set_state(state);
  return event;
}

contree::v1::OperationEvent OutputEvent() {
  contree::v1::OperationEvent event;
  event.mutable_output()->set_data("line\n");
  return event;
}

class OperationWatchTest : public ResourcesTest {
 protected:
  std::unique_ptr<ResourceWatch> Watch(const std::string& id) {
    auto watch = backend_.resources().Watch("contree://operations/instance/" + id,
                                            NewCallContext(absl::Seconds(60)), changes_.Callback());
    EXPECT_OK(watch);
    return watch.ok() ? *std::move(watch) : nullptr;
  }

  Changes changes_;  // outlives every watch
};

TEST_F(OperationWatchTest, ItTellsOfEachStateAndOfTheEnd) {
  backend_.service().AddOperation("op");
  const auto watch = Watch("op");
  backend_.service().WaitForWatches(1);
  backend_.service().Emit("op", StateEvent(contree::v1::OPERATION_STATE_EXECUTING));
  backend_.service().Emit("op", OutputEvent());  // the record does not show it yet
  changes_.WaitFor(1);
  contree::v1::Operation record;
  record.set_state(contree::v1::OPERATION_STATE_SUCCESS);
  backend_.service().Complete("op", record);
  changes_.WaitForEnd();
  EXPECT_EQ(changes_.count(), 2);
}

TEST_F(OperationWatchTest, AnOperationThatHasEndedIsToldOnce) {
  AddFinished("op", {});
  const auto watch = Watch("op");
  changes_.WaitForEnd();
  EXPECT_EQ(changes_.count(), 1);
}

TEST_F(OperationWatchTest, AStreamThatBreaksIsTakenUpWhereItEnded) {
  backend_.service().AddOperation("op");
  backend_.service().BreakNextWatch(1, {grpc::StatusCode::UNAVAILABLE, "restarting"});
  const auto watch = Watch("op");
  backend_.service().WaitForWatches(1);
  backend_.service().Emit("op", StateEvent(contree::v1::OPERATION_STATE_EXECUTING));
  backend_.service().WaitForWatches(2);
  backend_.service().Complete("op", {});
  changes_.WaitForEnd();
  EXPECT_EQ(changes_.count(), 2);
  const auto asked = backend_.service().calls().watch;
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_FALSE(asked[0].has_after_event_id());
  EXPECT_EQ(asked[1].after_event_id(), 1);
}

TEST_F(OperationWatchTest, WhatDoesNotExistStaysSilent) {
  {
    const auto watch = Watch("nope");
    backend_.service().WaitForWatches(1);
  }
  EXPECT_EQ(changes_.count(), 0);
}

TEST_F(OperationWatchTest, DestroyingItEndsTheStreamAndThePauseBeforeTheNext) {
  backend_.service().AddOperation("op");
  {
    const auto watch = Watch("op");
    backend_.service().WaitForWatches(1);
  }
  for (int i = 0; i < 20; ++i) {
    backend_.service().BreakNextWatch(0, {grpc::StatusCode::UNAVAILABLE, "restarting"});
    const auto watch = Watch("op");
    backend_.service().WaitForWatches(2 + i);
  }
  EXPECT_EQ(changes_.count(), 0);
}

}  // namespace
}  // namespace contree::gateway
