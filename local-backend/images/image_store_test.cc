#include "local-backend/images/image_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/sqlite/database.h"
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
    EXPECT_OK(store->Seed(kBusybox));
    ASSERT_OK_AND_ASSIGN(const Image again, store->Resolve("tag:busybox:latest"));
    EXPECT_EQ(again.uuid, uuid);
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

ImageFilter FilterOf(const std::string& project) {
  ImageFilter filter;
  filter.project = project;
  return filter;
}

constexpr absl::string_view kVersion2[] = {
    R"sql(
CREATE TABLE layers (id INTEGER PRIMARY KEY AUTOINCREMENT, created_at INTEGER NOT NULL);
CREATE TABLE images (uuid TEXT NOT NULL PRIMARY KEY, tag TEXT UNIQUE, created_at INTEGER NOT NULL,
  operation_uuid TEXT NOT NULL, layers TEXT NOT NULL, environment TEXT NOT NULL);
CREATE INDEX images_by_time ON images (created_at);
INSERT INTO layers VALUES (1, 1);
INSERT INTO images VALUES ('seed', 'busybox:latest', 1, '', '1', '{}');
INSERT INTO images VALUES ('run', 'mine', 2, 'operation', '1', '{"A":"b"}');
INSERT INTO images VALUES ('other', NULL, 3, 'operation', '1', '{}');
)sql",
    R"sql(
ALTER TABLE layers ADD COLUMN source TEXT;
CREATE UNIQUE INDEX layers_by_source ON layers (source);
)sql",
};

TEST(ImageStoreProjectsTest, StoreOfEarlierVersionsKeepsItsImagesAndTags) {
  for (const size_t version : {1, 2}) {
    const std::string directory = NewTestDirectory();
    ASSERT_OK(sqlite::Database::Open({.path = absl::StrCat(directory, "/images.db"),
                                      .migrations = absl::MakeConstSpan(kVersion2).first(version)})
                  .status());
    std::filesystem::create_directories(absl::StrCat(directory, "/layers/1"));
    ASSERT_OK_AND_ASSIGN(const auto store, ImageStore::Open(directory));
    ASSERT_OK_AND_ASSIGN(const Image seed, store->Resolve("tag:busybox:latest"));
    EXPECT_EQ(seed.uuid, "seed");
    EXPECT_EQ(seed.project, kPublic);
    ASSERT_OK_AND_ASSIGN(const Image run, store->Resolve("tag:mine"));
    EXPECT_EQ(run.uuid, "run");
    EXPECT_EQ(run.project, "");
    EXPECT_EQ(run.environment.at("A"), "b");
    ASSERT_OK_AND_ASSIGN(const Image other, store->Get("other"));
    EXPECT_EQ(other.tag, "");
    ASSERT_OK(store->SetTag("other", "mine"));
    EXPECT_EQ(store->Get("run")->tag, "");
  }
}

TEST(ImageStoreProjectsTest, ImagesAndTagsAreOfOneProject) {
  const std::string directory = NewTestDirectory();
  ASSERT_OK_AND_ASSIGN(const auto store, ImageStore::Open(directory));
  ASSERT_OK(store->Seed("/bin/busybox"));
  ASSERT_OK_AND_ASSIGN(const Image seed, store->Resolve("tag:busybox:latest", "A"));
  EXPECT_EQ(seed.project, kPublic);
  ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewRun(seed));
  ASSERT_OK_AND_ASSIGN(const auto made, store->Commit(run, seed, {{"A", "1"}}, "", 1000, "A"));
  const std::string uuid = made.image_uuid;
  ASSERT_OK(store->SetTag(uuid, "mine", "A"));
  ASSERT_OK(store->SetTag(uuid, "busybox:latest", "A"));
  ASSERT_OK_AND_ASSIGN(const Image own, store->Resolve("tag:busybox:latest", "A"));
  EXPECT_EQ(own.uuid, uuid);
  EXPECT_EQ(own.tag, "busybox:latest");
  ASSERT_OK_AND_ASSIGN(const Image hidden, store->Get(seed.uuid, "A"));
  EXPECT_EQ(hidden.tag, "");  // its name means another image here
  for (const char* other : {"B", ""}) {
    EXPECT_THAT(store->Get(uuid, other), StatusIs(absl::StatusCode::kNotFound, HasSubstr(uuid)));
    EXPECT_THAT(store->Resolve("tag:mine", other),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr("tag:mine")));
    EXPECT_THAT(store->SetTag(uuid, "stolen", other),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr(uuid)));
    EXPECT_THAT(store->RemoveTag(uuid, "", other),
                StatusIs(absl::StatusCode::kNotFound, HasSubstr(uuid)));
    ASSERT_OK_AND_ASSIGN(const auto list, store->List(FilterOf(other)));
    ASSERT_EQ(list.size(), 1);
    EXPECT_EQ(list[0].uuid, seed.uuid);
    EXPECT_EQ(list[0].tag, "busybox:latest");
  }
  // Once with each tag; the one that was asked for comes first.
  ImageFilter filter = FilterOf("A");
  filter.tagged = true;
  ASSERT_OK_AND_ASSIGN(const auto list, store->List(filter));
  EXPECT_EQ(list.size(), 2);
  filter.tag_prefix = "mine";
  ASSERT_OK_AND_ASSIGN(const auto exact, store->List(filter));
  ASSERT_EQ(exact.size(), 1);
  EXPECT_EQ(exact[0].tag, "mine");
  EXPECT_THAT(store->RemoveTag(seed.uuid, "busybox:latest", "A"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("of yours")));
  ASSERT_OK(store->RemoveTag(uuid, "busybox:latest", "A"));
  ASSERT_OK_AND_ASSIGN(const Image uncovered, store->Resolve("tag:busybox:latest", "A"));
  EXPECT_EQ(uncovered.uuid, seed.uuid);
  ASSERT_OK_AND_ASSIGN(const Image still, store->Get(uuid, "A"));
  EXPECT_EQ(still.tag, "mine");
}

}  // namespace
}  // namespace contree
