#include "local-backend/operations/operation_store.h"

#include "common/sqlite/database.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;

Operation At(const std::string& uuid, int seconds) {
  Operation operation;
  operation.uuid = uuid;
  operation.created_at = absl::FromUnixSeconds(seconds);
  operation.image_uuid = "image";
  operation.request = "{}";
  return operation;
}

TEST(OperationStoreTest, KeepsHowAnOperationEnded) {
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  Operation operation = At("a", 100);
  ASSERT_OK(store->Insert(operation));
  ASSERT_OK(store->SetStatus("a", kExecuting));
  operation.status = kSuccess;
  operation.duration = absl::Milliseconds(1500);
  operation.cpu_time = absl::Microseconds(7);
  operation.max_rss_kilobytes = 8;
  operation.image_size = 9;
  operation.result_image_uuid = "result";
  operation.result = "{\"x\":1}";
  ASSERT_OK(store->Finish(operation, "events"));
  ASSERT_OK_AND_ASSIGN(const Operation read, store->Get("", "a"));
  EXPECT_EQ(read.status, kSuccess);
  EXPECT_EQ(read.created_at, operation.created_at);
  EXPECT_EQ(read.duration, operation.duration);
  EXPECT_EQ(read.cpu_time, operation.cpu_time);
  EXPECT_EQ(read.max_rss_kilobytes, 8);
  EXPECT_EQ(read.image_size, 9);
  EXPECT_EQ(read.result_image_uuid, "result");
  EXPECT_EQ(read.result, operation.result);
  ASSERT_OK_AND_ASSIGN(const std::string events, store->Events("", "a"));
  EXPECT_EQ(events, "events");
}

TEST(OperationStoreTest, ProjectsSeeTheirOwnOnly) {
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  Operation of_a = At("a", 1);
  of_a.project = "A";
  ASSERT_OK(store->Insert(of_a));
  ASSERT_OK(store->Finish(of_a, "events"));
  ASSERT_OK(store->Get("A", "a").status());
  ASSERT_OK(store->Events("A", "a").status());
  for (const char* project : {"", "B"}) {
    EXPECT_THAT(store->Get(project, "a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("a")));
    EXPECT_THAT(store->Events(project, "a"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("a")));
    ASSERT_OK_AND_ASSIGN(const auto list, store->List({.project = project}));
    EXPECT_TRUE(list.empty());
  }
  ASSERT_OK_AND_ASSIGN(const auto list, store->List({.project = "A"}));
  EXPECT_EQ(list.size(), 1);
}

constexpr absl::string_view kVersion1[] = {R"sql(
CREATE TABLE operations (uuid TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL,
  error TEXT NOT NULL, created_at INTEGER NOT NULL, duration INTEGER NOT NULL,
  image_size INTEGER NOT NULL, cpu_time INTEGER NOT NULL, max_rss_kilobytes INTEGER NOT NULL,
  image_uuid TEXT NOT NULL, result_image_uuid TEXT NOT NULL, request TEXT NOT NULL,
  result TEXT NOT NULL);
CREATE INDEX operations_by_time ON operations (created_at);
CREATE TABLE event_logs (
  operation_uuid TEXT NOT NULL PRIMARY KEY REFERENCES operations (uuid) ON DELETE CASCADE,
  events TEXT NOT NULL);
INSERT INTO operations VALUES ('a', 'instance', 'SUCCESS', '', 5, 6, 7, 8, 9, 'i', 'r', '{}', '{}');
INSERT INTO event_logs VALUES ('a', 'events');
)sql"};

TEST(OperationStoreTest, StoreOfTheFirstVersionKeepsItsOperations) {
  const TempDirectory directory;
  ASSERT_OK(
      sqlite::Database::Open({.path = directory.File("operations.db"), .migrations = kVersion1})
          .status());
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  ASSERT_OK_AND_ASSIGN(const Operation operation, store->Get("", "a"));
  EXPECT_EQ(operation.project, "");
  EXPECT_EQ(operation.result_image_uuid, "r");
  ASSERT_OK_AND_ASSIGN(const std::string events, store->Events("", "a"));
  EXPECT_EQ(events, "events");
}

TEST(OperationStoreTest, StatusOfAnEndedOneStays) {
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  Operation operation = At("a", 1);
  ASSERT_OK(store->Insert(operation));
  operation.status = kCancelled;
  ASSERT_OK(store->Finish(operation, ""));
  ASSERT_OK(store->SetStatus("a", kExecuting));
  ASSERT_OK_AND_ASSIGN(const Operation read, store->Get("", "a"));
  EXPECT_EQ(read.status, kCancelled);
}

TEST(OperationStoreTest, FailsWhatAnEarlierProcessLeftUnfinished) {
  const TempDirectory directory;
  {
    ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
    ASSERT_OK(store->Insert(At("pending", 1)));
    ASSERT_OK(store->Insert(At("executing", 2)));
    ASSERT_OK(store->SetStatus("executing", kExecuting));
  }
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  for (const char* uuid : {"pending", "executing"}) {
    ASSERT_OK_AND_ASSIGN(const Operation operation, store->Get("", uuid));
    EXPECT_EQ(operation.status, kFailed);
    EXPECT_EQ(operation.error, "the backend stopped");
    ASSERT_OK_AND_ASSIGN(const std::string events, store->Events("", uuid));
    EXPECT_THAT(events, HasSubstr("\"completion\""));
  }
}

TEST(OperationStoreTest, ListsNewestFirstWithFilters) {
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  for (int i = 1; i <= 5; ++i) ASSERT_OK(store->Insert(At(std::to_string(i), i)));
  ASSERT_OK(store->SetStatus("3", kSuccess));
  const auto uuids = [&](const OperationFilter& filter) {
    std::string joined;
    const auto operations = store->List(filter);
    EXPECT_OK(operations);
    for (const Operation& operation : *operations) joined += operation.uuid;
    return joined;
  };
  EXPECT_EQ(uuids({}), "54321");
  EXPECT_EQ(uuids({.limit = 2, .offset = 1}), "43");
  EXPECT_EQ(uuids({.status = kSuccess}), "3");
  EXPECT_EQ(uuids({.kind = "image_import"}), "");
  EXPECT_EQ(uuids({.since = absl::FromUnixSeconds(2), .until = absl::FromUnixSeconds(4)}), "432");
  EXPECT_EQ(uuids({.offset = 100}), "");
}

TEST(OperationStoreTest, RemovesOldOnesThatHaveEnded) {
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  for (int i = 1; i <= 4; ++i) ASSERT_OK(store->Insert(At(std::to_string(i), i)));
  for (int i = 2; i <= 4; ++i) {
    Operation ended = At(std::to_string(i), i);
    ended.status = kSuccess;
    ASSERT_OK(store->Finish(ended, "events"));
  }
  ASSERT_OK_AND_ASSIGN(const int64_t removed, store->RemoveEnded(absl::FromUnixSeconds(4)));
  EXPECT_EQ(removed, 2);
  EXPECT_OK(store->Get("", "1"));
  EXPECT_THAT(store->Get("", "2"),
              StatusIs(absl::StatusCode::kNotFound, "there is no operation 2"));
  EXPECT_THAT(store->Events("", "3"),
              StatusIs(absl::StatusCode::kNotFound, "there is no operation 3"));
  EXPECT_OK(store->Events("", "4"));
}

TEST(OperationStoreTest, UnknownOperationIsNotFound) {
  const TempDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto store, OperationStore::Open(directory.path()));
  EXPECT_THAT(store->Get("", "x"),
              StatusIs(absl::StatusCode::kNotFound, "there is no operation x"));
  EXPECT_THAT(store->Events("", "x"),
              StatusIs(absl::StatusCode::kNotFound, "there is no operation x"));
}

}  // namespace
}  // namespace contree
