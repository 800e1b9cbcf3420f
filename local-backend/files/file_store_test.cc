#include "local-backend/files/file_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::unique_ptr<FileStore> OpenStore(const std::string& directory) {
  auto store = FileStore::Open(directory);
  EXPECT_OK(store);
  return *std::move(store);
}

StoredFile Put(FileStore& store, absl::string_view bytes, const std::string& project = "") {
  FileStore::Upload upload = store.Begin();
  EXPECT_OK(upload.Append(bytes));
  auto file = upload.Finish(project);
  EXPECT_OK(file);
  return file.value_or(StoredFile{});
}

std::string Content(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(FileStoreTest, SameBytesAreOneFile) {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  const StoredFile first = Put(*store, "hello");
  EXPECT_EQ(first.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  EXPECT_EQ(first.size, 5);
  EXPECT_EQ(Content(store->Path(first.sha256)), "hello");
  const StoredFile again = Put(*store, "hello");
  EXPECT_EQ(again.uuid, first.uuid);
  EXPECT_EQ(again.created_at, first.created_at);
  EXPECT_GE(again.updated_at, first.updated_at);
  EXPECT_NE(Put(*store, "other").uuid, first.uuid);
  EXPECT_EQ(Put(*store, "").size, 0);
}

TEST(FileStoreTest, LargeFileComesInPieces) {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  const std::string piece(100'000, 'x');
  FileStore::Upload upload = store->Begin();
  for (int i = 0; i < 30; ++i) ASSERT_OK(upload.Append(piece));
  ASSERT_OK_AND_ASSIGN(const StoredFile file, upload.Finish(""));
  EXPECT_EQ(file.size, 3'000'000);
  EXPECT_EQ(Content(store->Path(file.sha256)), std::string(3'000'000, 'x'));
  EXPECT_EQ(file.sha256, Sha256Hex(std::string(3'000'000, 'x')));
}

TEST(FileStoreTest, ManyAtOnceAreEachStoredOnce) {
  constexpr int kThreads = 16;
  constexpr int kFiles = 40;
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, FileStore::Open(directory.path()));
  std::vector<std::thread> threads;
  // Every content by two of the threads.
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kFiles; ++i) {
        FileStore::Upload upload = store->Begin();
        ASSERT_OK(upload.Append(absl::StrCat("content ", t / 2, " ", i)));
        ASSERT_OK(upload.Finish("p"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK_AND_ASSIGN(const auto files, store->List("p", {.limit = 1000}));
  EXPECT_EQ(files.size(), kThreads / 2 * kFiles);
  ASSERT_OK_AND_ASSIGN(const auto complaints, store->Check());
  EXPECT_THAT(complaints, IsEmpty());
}

TEST(FileStoreTest, OneThatCannotBeMovedLeavesTheOthersAlone) {
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, FileStore::Open(directory.path()));
  FileStore::Upload lost = store->Begin();
  ASSERT_OK(lost.Append(std::string(1 << 20, 'x')));  // too much to be held in memory
  for (const auto& entry : std::filesystem::directory_iterator(directory.File("files/incoming"))) {
    std::filesystem::remove(entry.path());
  }
  EXPECT_THAT(lost.Finish("p"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("cannot move")));
  FileStore::Upload good = store->Begin();
  ASSERT_OK(good.Append("good"));
  ASSERT_OK(good.Finish("p"));
  ASSERT_OK_AND_ASSIGN(const auto files, store->List("p", {}));
  EXPECT_EQ(files.size(), 1u);
}

TEST(FileStoreTest, AbandonedUploadLeavesNothing) {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  {
    FileStore::Upload upload = store->Begin();
    ASSERT_OK(upload.Append(std::string(1'000'000, 'x')));
  }
  EXPECT_EQ(rmdir(directory.File("files/incoming").c_str()), 0);
}

TEST(FileStoreTest, ProjectsDoNotSeeEachOthersFiles) {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  const StoredFile one = Put(*store, "shared", "one");
  const StoredFile two = Put(*store, "shared", "two");
  EXPECT_NE(one.uuid, two.uuid);
  const StoredFile own = Put(*store, "own", "one");
  EXPECT_THAT(store->GetBySha256("two", own.sha256),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(own.sha256)));
  EXPECT_THAT(store->Use("two", {one.uuid}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(one.uuid)));
  ASSERT_OK_AND_ASSIGN(const auto files, store->List("two", {}));
  EXPECT_EQ(files.size(), 1);
}

TEST(FileStoreTest, UseGivesWhatWasAskedForInOrder) {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  const StoredFile a = Put(*store, "a");
  const StoredFile b = Put(*store, "b");
  ASSERT_OK_AND_ASSIGN(const auto files, store->Use("", {b.uuid, a.uuid, b.uuid}));
  ASSERT_EQ(files.size(), 3);
  EXPECT_EQ(files[0].sha256, b.sha256);
  EXPECT_EQ(files[1].sha256, a.sha256);
  EXPECT_THAT(store->Use("", {a.uuid, "nothing"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("there is no file nothing")));
}

TEST(FileStoreTest, ListsNewestFirstInPages) {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  const StoredFile a = Put(*store, "a");
  const StoredFile b = Put(*store, "b");
  ASSERT_OK_AND_ASSIGN(const auto newest, store->List("", {.limit = 1}));
  ASSERT_EQ(newest.size(), 1);
  EXPECT_EQ(newest[0].uuid, b.uuid);
  ASSERT_OK_AND_ASSIGN(const auto oldest, store->List("", {.limit = 5, .offset = 1}));
  ASSERT_EQ(oldest.size(), 1);
  EXPECT_EQ(oldest[0].uuid, a.uuid);
  ASSERT_OK_AND_ASSIGN(const auto none, store->List("", {.offset = 9}));
  EXPECT_THAT(none, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const auto since, store->List("", {.since = b.created_at}));
  EXPECT_EQ(since.size(), 1);
}

TEST(FileStoreTest, UnusedFilesGoUnlessAnotherProjectHasThem) {
  const TempDirectory directory;
  const auto store = OpenStore(directory.path());
  const StoredFile shared = Put(*store, "shared", "one");
  const StoredFile alone = Put(*store, "alone", "one");
  const absl::Time between = Put(*store, "shared", "two").created_at;
  ASSERT_OK_AND_ASSIGN(const int removed, store->RemoveUnused(between));
  EXPECT_EQ(removed, 2);
  EXPECT_EQ(access(store->Path(alone.sha256).c_str(), F_OK), -1);
  EXPECT_EQ(Content(store->Path(shared.sha256)), "shared");
  EXPECT_OK(store->GetBySha256("two", shared.sha256));
}

TEST(FileStoreTest, BytesWithoutARowAreRemovedAtTheStart) {
  const TempDirectory directory;
  std::string stray;
  StoredFile kept;
  {
    const auto store = OpenStore(directory.path());
    kept = Put(*store, "kept");
    stray = store->Path(std::string(64, 'a'));
    mkdir(stray.substr(0, stray.rfind('/')).c_str(), 0755);
    std::ofstream(stray) << "of an upload whose process was killed";
  }
  const auto store = OpenStore(directory.path());
  EXPECT_EQ(access(stray.c_str(), F_OK), -1);
  EXPECT_EQ(Content(store->Path(kept.sha256)), "kept");
}

TEST(FileStoreTest, UploadThatDoesNotFitIsRefusedWithoutATrace) {
  const TempDirectory directory;
  DiskBudget budget({.directory = directory.path(), .quota = 1 << 20});
  ASSERT_OK_AND_ASSIGN(const auto store, FileStore::Open(directory.path(), &budget));
  FileStore::Upload upload = store->Begin();
  absl::Status appended;
  for (int i = 0; i < 16 && appended.ok(); ++i) appended = upload.Append(std::string(300'000, 'x'));
  EXPECT_THAT(appended, StatusIs(absl::StatusCode::kResourceExhausted,
                                 HasSubstr("the disk quota is used up")));
  { const FileStore::Upload gone = std::move(upload); }
  EXPECT_TRUE(std::filesystem::is_empty(directory.File("files/incoming")));
  Put(*store, "small");
}

TEST(FileStoreTest, WhatIsThereAlreadyNeedsNoRoom) {
  const TempDirectory directory;
  StoredFile known;
  {
    ASSERT_OK_AND_ASSIGN(const auto store, FileStore::Open(directory.path()));
    known = Put(*store, "known");
  }
  DiskBudget budget({.directory = directory.path(), .quota = 1});
  ASSERT_OK_AND_ASSIGN(const auto store, FileStore::Open(directory.path(), &budget));
  EXPECT_EQ(Put(*store, "known").uuid, known.uuid);
  FileStore::Upload upload = store->Begin();
  ASSERT_OK(upload.Append("something else"));
  EXPECT_THAT(upload.Finish(""), StatusIs(absl::StatusCode::kResourceExhausted,
                                          HasSubstr("the disk quota is used up")));
}

TEST(FileStoreTest, WhatAPowerCutTookIsForgotten) {
  const TempDirectory directory;
  StoredFile lost;
  StoredFile kept;
  StoredFile synced;
  {
    const auto store = OpenStore(directory.path());
    synced = Put(*store, "synced");
    ASSERT_OK(store->Sync());
    lost = Put(*store, "lost");
    kept = Put(*store, "kept");
    std::ofstream(store->Path(lost.sha256)) << "";  // as a file system without the data has it
  }
  const auto store = OpenStore(directory.path());
  EXPECT_THAT(store->GetBySha256("", lost.sha256),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("upload it")));
  EXPECT_OK(store->GetBySha256("", kept.sha256));
  EXPECT_OK(store->GetBySha256("", synced.sha256));
  EXPECT_EQ(Content(store->Path(Put(*store, "lost").sha256)), "lost");
}

}  // namespace
}  // namespace contree
