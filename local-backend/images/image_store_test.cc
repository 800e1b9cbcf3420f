#include "local-backend/images/image_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/images/image_reader.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::HasSubstr;

constexpr char kBusybox[] = "/bin/busybox";

std::unique_ptr<ImageStore> SeededStore(const std::string& directory) {
  auto store = ImageStore::Open(directory);
  EXPECT_OK(store);
  EXPECT_OK((*store)->Seed(kBusybox));
  return *std::move(store);
}

TEST(ImageStoreTest, SeedsOnce) {
  const std::string directory = NewTestDirectory();
  std::string uuid;
  {
    const auto store = SeededStore(directory);
    ASSERT_OK_AND_ASSIGN(const Image image, store->Resolve("tag:busybox:latest"));
    uuid = image.uuid;
    EXPECT_EQ(image.layers.size(), 1);
    EXPECT_OK(store->RemoveTag(uuid, ""));
    EXPECT_OK(store->Seed(kBusybox));
    EXPECT_THAT(store->Resolve("tag:busybox:latest"),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr("busybox:latest")));
  }
  const auto store = SeededStore(directory);
  EXPECT_OK(store->Get(uuid));
  ASSERT_OK_AND_ASSIGN(const auto images, store->List({}));
  EXPECT_EQ(images.size(), 1);
}

TEST(ImageStoreTest, MissingBusyboxSaysWhatToInstall) {
  ASSERT_OK_AND_ASSIGN(const auto store, ImageStore::Open(NewTestDirectory()));
  EXPECT_THAT(store->Seed("/no/busybox"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("busybox-static")));
  EXPECT_OK(store->Seed(kBusybox));
}

TEST(ImageStoreTest, CommitStacksALayerAndKeepsTheParent) {
  const auto store = SeededStore(NewTestDirectory());
  ASSERT_OK_AND_ASSIGN(const Image parent, store->Resolve("tag:busybox:latest"));
  ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewRun(parent));
  std::ofstream(absl::StrCat(run.upper, "/new")) << "12345";
  ASSERT_OK_AND_ASSIGN(const auto committed,
                       store->Commit(run, parent, {{"A", "1"}}, "operation", 1000));
  EXPECT_EQ(committed.layer_bytes, 5);
  ASSERT_OK_AND_ASSIGN(const Image image, store->Get(committed.image_uuid));
  EXPECT_EQ(image.layers.size(), 2);
  EXPECT_EQ(image.layers[1], parent.layers[0]);
  EXPECT_EQ(image.environment, (Environment{{"A", "1"}}));
  EXPECT_EQ(image.operation_uuid, "operation");
  ASSERT_OK_AND_ASSIGN(const ImageReader reader,
                       ImageReader::Open(store->LayerPaths(image), store->empty_directory()));
  EXPECT_OK(reader.OpenFile("/new"));
  ASSERT_OK_AND_ASSIGN(const ImageReader old,
                       ImageReader::Open(store->LayerPaths(parent), store->empty_directory()));
  EXPECT_THAT(old.OpenFile("/new"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("/new")));
}

TEST(ImageStoreTest, UnchangedRunIsTheParent) {
  const auto store = SeededStore(NewTestDirectory());
  ASSERT_OK_AND_ASSIGN(const Image parent, store->Resolve("tag:busybox:latest"));
  ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewRun(parent));
  ASSERT_OK_AND_ASSIGN(const auto committed, store->Commit(run, parent, {}, "operation", 1000));
  EXPECT_EQ(committed.image_uuid, parent.uuid);
}

TEST(ImageStoreTest, LayerBeyondTheLimitIsRefused) {
  const auto store = SeededStore(NewTestDirectory());
  ASSERT_OK_AND_ASSIGN(const Image parent, store->Resolve("tag:busybox:latest"));
  ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewRun(parent));
  std::ofstream(absl::StrCat(run.upper, "/new")) << "12345";
  EXPECT_THAT(store->Commit(run, parent, {}, "operation", 4),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("5 bytes; max_layer_bytes allows 4")));
}

TEST(ImageStoreTest, LeftoversOfADeadProcessAreRemoved) {
  const std::string directory = NewTestDirectory();
  {
    const auto store = SeededStore(directory);
    ASSERT_OK_AND_ASSIGN(const Image parent, store->Resolve("tag:busybox:latest"));
    ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewRun(parent));
    EXPECT_EQ(access(run.upper.c_str(), F_OK), 0);
  }
  // The remover has done its work when the store is gone.
  { const auto store = SeededStore(directory); }
  EXPECT_EQ(rmdir(absl::StrCat(directory, "/runs").c_str()), 0);
}

TEST(IsTagTest, KnowsTheForm) {
  for (const char* tag : {"a", "busybox:latest", "my/app/v1.2:x_y-Z", "1"})
    EXPECT_TRUE(IsTag(tag)) << tag;
  for (const char* tag : {"", ":a", "/a", ".a", "a:", "a/", "a.", "a b", "a%", "ä"})
    EXPECT_FALSE(IsTag(tag)) << tag;
  EXPECT_TRUE(IsTag(std::string(256, 'a')));
  EXPECT_FALSE(IsTag(std::string(257, 'a')));
  EXPECT_TRUE(IsTagPrefix("a/"));
}

}  // namespace
}  // namespace contree
