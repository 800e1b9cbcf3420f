#include "local-backend/images/image_store.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/sqlite/database.h"
#include "common/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "local-backend/images/image_reader.h"
#include "local-backend/testing/namespace_test_main.h"

namespace contree {
namespace {

using testing::AllOf;
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

TEST(ImageStoreTest, ALayerOfFilesGoesBetweenTheImageAndTheRun) {
  const auto store = SeededStore(NewTestDirectory());
  ASSERT_OK_AND_ASSIGN(const Image parent, store->Resolve("tag:busybox:latest"));
  ASSERT_OK_AND_ASSIGN(const RunDirectory made, store->NewLayer(parent.layers));
  std::ofstream(absl::StrCat(made.upper, "/file")) << "12345";
  ASSERT_OK_AND_ASSIGN(const HeldLayer layer, store->PublishLayer(made, "files:1"));
  store->Discard(made);
  ASSERT_OK_AND_ASSIGN(const HeldLayer found, store->FindLayer("files:1"));
  EXPECT_EQ(found.name, layer.name);
  EXPECT_EQ(found.file_bytes, 5);

  ASSERT_OK_AND_ASSIGN(RunDirectory run, store->NewRun(parent));
  EXPECT_EQ(store->AddLayer(found, parent, run).value(), true);
  EXPECT_EQ(run.layers.size(), 2);
  ASSERT_OK_AND_ASSIGN(const auto committed, store->Commit(run, parent, {}, "operation", 5));
  EXPECT_EQ(committed.layer_bytes, 5);
  ASSERT_OK_AND_ASSIGN(const Image image, store->Get(committed.image_uuid));
  EXPECT_EQ(image.layers, (std::vector<std::string>{layer.name, parent.layers[0]}));

  // An image that has it, on top or below, is not changed by it.
  ASSERT_OK_AND_ASSIGN(run, store->NewRun(image));
  EXPECT_EQ(store->AddLayer(found, image, run).value(), true);
  std::ofstream(absl::StrCat(run.upper, "/more")) << "1";
  ASSERT_OK_AND_ASSIGN(const auto more, store->Commit(run, image, {}, "operation", 5));
  EXPECT_EQ(more.layer_bytes, 1);
  ASSERT_OK_AND_ASSIGN(const Image above, store->Get(more.image_uuid));
  ASSERT_OK_AND_ASSIGN(run, store->NewRun(above));
  EXPECT_EQ(store->AddLayer(found, above, run).value(), true);
  EXPECT_EQ(run.added.name, "");
  ASSERT_OK_AND_ASSIGN(const auto same, store->Commit(run, above, {}, "operation", 5));
  EXPECT_EQ(same.image_uuid, above.uuid);

  // Where the file was changed since, the layer would bring it back, but cannot be there twice.
  ASSERT_OK_AND_ASSIGN(run, store->NewRun(above));
  std::ofstream(absl::StrCat(run.upper, "/file")) << "54321";
  ASSERT_OK_AND_ASSIGN(const auto changed, store->Commit(run, above, {}, "operation", 5));
  ASSERT_OK_AND_ASSIGN(const Image other, store->Get(changed.image_uuid));
  ASSERT_OK_AND_ASSIGN(run, store->NewRun(other));
  EXPECT_EQ(store->AddLayer(found, other, run).value(), false);
  EXPECT_EQ(run.added.name, "");
  store->Discard(run);

  ASSERT_OK_AND_ASSIGN(run, store->NewRun(parent));
  EXPECT_EQ(store->AddLayer(found, parent, run).value(), true);
  EXPECT_THAT(store->Commit(run, parent, {}, "operation", 4),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("allows 4")));
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

// As a run that writes a file would.
Image Child(ImageStore& store, const Image& parent, const std::string& file,
            const std::string& content) {
  auto run = store.NewRun(parent);
  EXPECT_OK(run);
  std::ofstream(absl::StrCat(run->upper, "/", file)) << content;
  const auto committed = store.Commit(*run, parent, {}, "operation", 1 << 20);
  EXPECT_OK(committed);
  auto image = store.Get(committed->image_uuid);
  EXPECT_OK(image);
  return *std::move(image);
}

std::string ContentOf(ImageStore& store, const Image& image, const std::string& path) {
  const auto reader =
      ImageReader::Open(store.LayerPaths(image), store.empty_directory(), image.lease);
  EXPECT_OK(reader);
  const auto file = reader->OpenFile(path);
  if (!file.ok()) return std::string(file.status().message());
  char bytes[100];
  const ssize_t got = read(file->get(), bytes, sizeof bytes);
  return std::string(bytes, got < 0 ? 0 : static_cast<size_t>(got));
}

int CountIn(const std::string& directory) {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++count;
  return count;
}

TEST(ImageStoreTest, CollectRemovesUnusedImagesWithoutTag) {
  const std::string directory = NewTestDirectory();
  const auto store = SeededStore(directory);
  std::string tagged;
  std::string untagged;
  {
    ASSERT_OK_AND_ASSIGN(const Image base, store->Resolve("tag:busybox:latest"));
    tagged = Child(*store, base, "tagged", "1").uuid;
    ASSERT_OK(store->SetTag(tagged, "kept").status());
    untagged = Child(*store, base, "untagged", "2").uuid;
  }
  EXPECT_EQ(CountIn(directory + "/layers"), 3);
  ASSERT_OK_AND_ASSIGN(const Collected early,
                       store->Collect({.untagged_unused_since = absl::Now() - absl::Hours(2)}));
  EXPECT_EQ(early.images, 0);
  ASSERT_OK_AND_ASSIGN(const Collected late,
                       store->Collect({.untagged_unused_since = absl::InfiniteFuture()}));
  EXPECT_EQ(late.images, 1);
  EXPECT_EQ(late.layers, 1);
  EXPECT_THAT(store->Get(untagged), StatusIs(absl::StatusCode::kNotFound, HasSubstr(untagged)));
  EXPECT_OK(store->Get(tagged));
  EXPECT_OK(store->Resolve("tag:busybox:latest"));
  EXPECT_EQ(CountIn(directory + "/layers"), 2);
  store->FinishBackgroundWork();
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(testing::StartsWith("trash")));
  }
}

TEST(ImageStoreTest, CollectLeavesWhatIsInUse) {
  const auto store = SeededStore(NewTestDirectory());
  std::optional<Image> parent;
  {
    ASSERT_OK_AND_ASSIGN(const Image base, store->Resolve("tag:busybox:latest"));
    parent = Child(*store, base, "a", "1");
  }
  const CollectOptions all = {.untagged_unused_since = absl::InfiniteFuture(),
                              .unused_layers_before = absl::InfiniteFuture()};
  // A request that waits for its turn.
  ASSERT_OK_AND_ASSIGN(Collected collected, store->Collect(all));
  EXPECT_EQ(collected.images + collected.layers, 0);
  // A run.
  ASSERT_OK_AND_ASSIGN(RunDirectory run, store->NewRun(*parent));
  std::ofstream(run.upper + "/b") << "2";
  const std::string parent_uuid = parent->uuid;
  Image copy = *parent;
  parent.reset();
  ASSERT_OK_AND_ASSIGN(collected, store->Collect(all));
  EXPECT_EQ(collected.images + collected.layers, 0);
  ASSERT_OK_AND_ASSIGN(const auto child, store->Commit(run, copy, {}, "", 1000));
  // A child that has a tag needs the layers, but not the image, that it came from.
  ASSERT_OK(store->SetTag(child.image_uuid, "child").status());
  copy.lease.reset();
  run.lease.reset();
  ASSERT_OK_AND_ASSIGN(collected, store->Collect(all));
  EXPECT_EQ(collected.images, 1);
  EXPECT_EQ(collected.layers, 0);
  EXPECT_FALSE(store->Get(parent_uuid).ok());
  ASSERT_OK_AND_ASSIGN(const Image image, store->Get(child.image_uuid));
  EXPECT_EQ(ContentOf(*store, image, "/a"), "1");
  EXPECT_EQ(ContentOf(*store, image, "/b"), "2");
}

TEST(ImageStoreTest, CollectLeavesLayersThatAnImportIsUsing) {
  const auto store = SeededStore(NewTestDirectory());
  const CollectOptions all = {.unused_layers_before = absl::InfiniteFuture()};
  ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewLayer({}));
  std::ofstream(run.upper + "/a") << "1";
  ASSERT_OK_AND_ASSIGN(HeldLayer layer, store->PublishLayer(run, "source"));
  ASSERT_OK_AND_ASSIGN(Collected collected, store->Collect(all));
  EXPECT_EQ(collected.layers, 0);
  // The next import takes it as it is.
  ASSERT_OK_AND_ASSIGN(HeldLayer found, store->FindLayer("source"));
  EXPECT_EQ(found.name, layer.name);
  layer = {};
  ASSERT_OK_AND_ASSIGN(collected, store->Collect(all));
  EXPECT_EQ(collected.layers, 0);
  found = {};
  // Its import may go on tomorrow.
  ASSERT_OK_AND_ASSIGN(collected,
                       store->Collect({.unused_layers_before = absl::Now() - absl::Hours(24)}));
  EXPECT_EQ(collected.layers, 0);
  ASSERT_OK_AND_ASSIGN(collected, store->Collect(all));
  EXPECT_EQ(collected.layers, 1);
  ASSERT_OK_AND_ASSIGN(found, store->FindLayer("source"));
  EXPECT_EQ(found.name, "");
}

TEST(ImageStoreTest, LayerWithoutARowIsRemovedAtTheStart) {
  const std::string directory = NewTestDirectory();
  { const auto store = SeededStore(directory); }
  // As of a process that was killed between the two.
  mkdir((directory + "/layers/77").c_str(), 0755);
  std::ofstream(directory + "/layers/77/file") << "x";
  std::string child;
  {
    const auto store = SeededStore(directory);
    EXPECT_NE(access((directory + "/layers/77").c_str(), F_OK), 0);
    ASSERT_OK_AND_ASSIGN(const Image base, store->Resolve("tag:busybox:latest"));
    child = Child(*store, base, "a", "1").uuid;
  }
  const auto store = SeededStore(directory);
  ASSERT_OK_AND_ASSIGN(const Image image, store->Get(child));
  EXPECT_EQ(ContentOf(*store, image, "/a"), "1");
}

TEST(ImageStoreTest, ThousandGenerationsKeepWorking) {
  const std::string directory = NewTestDirectory();
  const auto store = SeededStore(directory);
  ASSERT_OK_AND_ASSIGN(Image image, store->Resolve("tag:busybox:latest"));
  std::vector<std::string> uuids;
  size_t deepest = 0;
  for (int i = 0; i < 1000; ++i) {
    image = Child(*store, image, absl::StrCat("f", i % 10), absl::StrCat(i));
    uuids.push_back(image.uuid);
    deepest = std::max(deepest, image.layers.size());
  }
  EXPECT_LE(deepest, kTooManyLayers + 1);
  store->FinishBackgroundWork();
  // The same images, all of them, each with what it had.
  for (const int generation : {0, 1, 63, 64, 65, 66, 100, 500, 999}) {
    ASSERT_OK_AND_ASSIGN(const Image old, store->Get(uuids[static_cast<size_t>(generation)]));
    EXPECT_LE(old.layers.size(), kManyLayers) << generation;
    for (int file = 0; file < 10; ++file) {
      const int last = generation - (generation - file + 10) % 10;
      const std::string path = absl::StrCat("/f", file);
      EXPECT_EQ(ContentOf(*store, old, path),
                last < 0 ? absl::StrCat("there is no ", path, " in the image") : absl::StrCat(last))
          << generation;
    }
  }
}

TEST(ImageStoreTest, RunOnAnImageThatIsFlattenedMeanwhile) {
  const auto store = SeededStore(NewTestDirectory());
  ASSERT_OK_AND_ASSIGN(Image image, store->Resolve("tag:busybox:latest"));
  for (size_t i = 1; i < kManyLayers; ++i) {
    image = Child(*store, image, absl::StrCat("f", i), absl::StrCat(i));
  }
  ASSERT_EQ(image.layers.size(), kManyLayers);
  const Image parent = image;
  ASSERT_OK_AND_ASSIGN(const RunDirectory early, store->NewRun(parent));
  ASSERT_OK_AND_ASSIGN(const RunDirectory other, store->NewRun(parent));
  const Image sibling = Child(*store, parent, "sibling", "s");
  store->FinishBackgroundWork();
  ASSERT_OK_AND_ASSIGN(const Image flat, store->Get(parent.uuid));
  EXPECT_EQ(flat.layers.size(), 2);
  // The run still stands on the layers that it began with, and its image on the new ones.
  for (const std::string& layer : early.layers) EXPECT_EQ(access(layer.c_str(), F_OK), 0);
  std::ofstream(early.upper + "/early") << "e";
  ASSERT_OK_AND_ASSIGN(const auto committed, store->Commit(early, parent, {}, "", 1000));
  ASSERT_OK_AND_ASSIGN(const Image late, store->Get(committed.image_uuid));
  EXPECT_EQ(late.layers.size(), 3);
  EXPECT_EQ(ContentOf(*store, late, "/early"), "e");
  EXPECT_EQ(ContentOf(*store, late, "/f1"), "1");
  ASSERT_OK_AND_ASSIGN(const Image again, store->Get(sibling.uuid));
  EXPECT_EQ(again.layers.size(), 3);
  EXPECT_EQ(ContentOf(*store, again, "/sibling"), "s");
  // Nothing changed: the same image.
  ASSERT_OK_AND_ASSIGN(const auto unchanged, store->Commit(other, parent, {}, "", 1000));
  EXPECT_EQ(unchanged.image_uuid, parent.uuid);
}

TEST(ImageStoreTest, AFileSystemWithoutExtendedAttributesIsRefused) {
  const std::string directory = NewTestDirectory();
  ASSERT_EQ(mount("ramfs", directory.c_str(), "ramfs", 0, nullptr), 0) << strerror(errno);
  EXPECT_THAT(ImageStore::Open(directory).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("keeps no extended attributes"), HasSubstr(directory))));
  umount2(directory.c_str(), MNT_DETACH);
}

TEST(ImageStoreTest, RootKeepsItsAttributes) {
  const auto store = SeededStore(NewTestDirectory());
  ASSERT_OK_AND_ASSIGN(const Image base, store->Resolve("tag:busybox:latest"));
  ASSERT_OK_AND_ASSIGN(const RunDirectory run, store->NewRun(base));
  ASSERT_EQ(setxattr(run.upper.c_str(), "user.note", "1", 1, 0), 0);
  ASSERT_EQ(chmod(run.upper.c_str(), 0711), 0);
  ASSERT_OK_AND_ASSIGN(const auto first, store->Commit(run, base, {}, "", 1000));
  EXPECT_NE(first.image_uuid, base.uuid);
  ASSERT_OK_AND_ASSIGN(const Image parent, store->Get(first.image_uuid));
  ASSERT_OK_AND_ASSIGN(const RunDirectory next, store->NewRun(parent));
  char value = 0;
  EXPECT_EQ(getxattr(next.upper.c_str(), "user.note", &value, 1), 1);
  struct stat info;
  ASSERT_EQ(stat(next.upper.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0711);
  ASSERT_OK_AND_ASSIGN(const auto second, store->Commit(next, parent, {}, "", 1000));
  EXPECT_EQ(second.image_uuid, parent.uuid);
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
