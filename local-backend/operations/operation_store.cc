#include "local-backend/operations/operation_store.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/operations/event_log.h"

namespace contree {
namespace {

constexpr char kStopped[] = "the backend stopped";

constexpr absl::string_view kMigrations[] = {
    R"sql(
CREATE TABLE operations (
  uuid TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  error TEXT NOT NULL,                 -- '' for none
  created_at INTEGER NOT NULL,         -- nanoseconds since 1970
  duration INTEGER NOT NULL,           -- nanoseconds
  image_size INTEGER NOT NULL,         -- bytes
  cpu_time INTEGER NOT NULL,           -- nanoseconds
  max_rss_kilobytes INTEGER NOT NULL,
  image_uuid TEXT NOT NULL,
  result_image_uuid TEXT NOT NULL,     -- '' for none
  request TEXT NOT NULL,               -- JSON
  result TEXT NOT NULL                 -- JSON, '' for none
);
CREATE INDEX operations_by_time ON operations (created_at);
CREATE TABLE event_logs (
  operation_uuid TEXT NOT NULL PRIMARY KEY REFERENCES operations (uuid) ON DELETE CASCADE,
  events TEXT NOT NULL                 -- one JSON object a line
);
)sql",
    R"sql(
ALTER TABLE operations ADD COLUMN project TEXT NOT NULL DEFAULT '';
DROP INDEX operations_by_time;
CREATE INDEX operations_by_time ON operations (project, created_at);
)sql",
};

constexpr char kColumns[] =
    "uuid, kind, status, error, created_at, duration, image_size, cpu_time, max_rss_kilobytes, "
    "image_uuid, result_image_uuid, request, result, project";

Operation ToOperation(const sqlite::Row& row) {
  Operation operation;
  operation.uuid = row.String(0);
  operation.kind = row.String(1);
  operation.status = row.String(2);
  operation.error = row.String(3);
  operation.created_at = absl::FromUnixNanos(row.Int(4));
  operation.duration = absl::Nanoseconds(row.Int(5));
  operation.image_size = row.Int(6);
  operation.cpu_time = absl::Nanoseconds(row.Int(7));
  operation.max_rss_kilobytes = row.Int(8);
  operation.image_uuid = row.String(9);
  operation.result_image_uuid = row.String(10);
  operation.request = row.String(11);
  operation.result = row.String(12);
  operation.project = row.String(13);
  return operation;
}

}  // namespace

absl::Status NoOperation(absl::string_view uuid) {
  return absl::NotFoundError(absl::StrCat("there is no operation ", uuid));
}

absl::StatusOr<std::unique_ptr<OperationStore>> OperationStore::Open(const std::string& directory) {
  ASSIGN_OR_RETURN(auto database,
                   sqlite::Database::Open({.path = absl::StrCat(directory, "/operations.db"),
                                           .migrations = kMigrations}));
  std::unique_ptr<OperationStore> store(new OperationStore(std::move(database)));
  RETURN_IF_ERROR(store->FailUnfinished());
  return store;
}

absl::Status OperationStore::FailUnfinished() {
  return database_->Write([](sqlite::Connection& connection) -> absl::Status {
    std::vector<std::string> unfinished;
    RETURN_IF_ERROR(connection.Query(
        "SELECT uuid FROM operations WHERE status NOT IN ('SUCCESS', 'FAILED', 'CANCELLED')", {},
        [&](const sqlite::Row& row) { unfinished.push_back(row.String(0)); }));
    for (const std::string& uuid : unfinished) {
      EventLog log;
      const std::string events = log.SaveWith(log.Prepare(
          0, "completion", {{"status", kFailed}, {"duration_ms", 0}, {"error", kStopped}}));
      RETURN_IF_ERROR(
          connection
              .Execute("UPDATE operations SET status = 'FAILED', error = ? WHERE uuid = ?",
                       {absl::string_view(kStopped), uuid})
              .status());
      RETURN_IF_ERROR(
          connection
              .Execute("INSERT OR REPLACE INTO event_logs (operation_uuid, events) VALUES (?, ?)",
                       {uuid, events})
              .status());
    }
    return absl::OkStatus();
  });
}

absl::Status OperationStore::Insert(const Operation& operation) {
  return database_->Write([&](sqlite::Connection& connection) {
    return connection
        .Execute(
            absl::StrCat("INSERT INTO operations (", kColumns,
                         ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
            {operation.uuid, operation.kind, operation.status, operation.error,
             absl::ToUnixNanos(operation.created_at), absl::ToInt64Nanoseconds(operation.duration),
             operation.image_size, absl::ToInt64Nanoseconds(operation.cpu_time),
             operation.max_rss_kilobytes, operation.image_uuid, operation.result_image_uuid,
             operation.request, operation.result, operation.project})
        .status();
  });
}

absl::Status OperationStore::SetStatus(const std::string& uuid, const std::string& status) {
  return database_->Write([&](sqlite::Connection& connection) {
    return connection
        .Execute(
            "UPDATE operations SET status = ? WHERE uuid = ? AND status NOT IN "
            "('SUCCESS', 'FAILED', 'CANCELLED')",
            {status, uuid})
        .status();
  });
}

absl::Status OperationStore::Finish(const Operation& operation, const std::string& events) {
  return database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(
        connection
            .Execute("UPDATE operations SET status = ?, error = ?, duration = ?, image_size = ?, "
                     "cpu_time = ?, "
                     "max_rss_kilobytes = ?, result_image_uuid = ?, result = ? WHERE uuid = ?",
                     {operation.status, operation.error,
                      absl::ToInt64Nanoseconds(operation.duration), operation.image_size,
                      absl::ToInt64Nanoseconds(operation.cpu_time), operation.max_rss_kilobytes,
                      operation.result_image_uuid, operation.result, operation.uuid})
            .status());
    return connection
        .Execute("INSERT INTO event_logs (operation_uuid, events) VALUES (?, ?)",
                 {operation.uuid, events})
        .status();
  });
}

absl::StatusOr<Operation> OperationStore::Get(const std::string& project, const std::string& uuid) {
  std::optional<Operation> operation;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        absl::StrCat("SELECT ", kColumns, " FROM operations WHERE uuid = ? AND project = ?"),
        {uuid, project}, [&](const sqlite::Row& row) { operation = ToOperation(row); });
  }));
  if (!operation.has_value()) return NoOperation(uuid);
  return *std::move(operation);
}

absl::StatusOr<std::string> OperationStore::Events(const std::string& project,
                                                   const std::string& uuid) {
  std::optional<std::string> events;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        "SELECT events FROM event_logs JOIN operations ON uuid = operation_uuid "
        "WHERE operation_uuid = ? AND project = ?",
        {uuid, project}, [&](const sqlite::Row& row) { events = row.String(0); });
  }));
  if (!events.has_value()) return NoOperation(uuid);
  return *std::move(events);
}

absl::StatusOr<std::vector<Operation>> OperationStore::List(const OperationFilter& filter) {
  std::vector<Operation> operations;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        absl::StrCat(
            "SELECT ", kColumns,
            " FROM operations WHERE project = ? AND created_at >= ? AND created_at <= ?"
            " AND (? = '' OR status = ?)"
            " AND (? = '' OR kind = ?) ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?"),
        {filter.project, absl::ToUnixNanos(filter.since), absl::ToUnixNanos(filter.until),
         filter.status, filter.status, filter.kind, filter.kind, int64_t{filter.limit},
         int64_t{filter.offset}},
        [&](const sqlite::Row& row) { operations.push_back(ToOperation(row)); });
  }));
  return operations;
}

absl::StatusOr<int64_t> OperationStore::RemoveEnded(absl::Time before) {
  int64_t removed = 0;
  RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    ASSIGN_OR_RETURN(removed,
                     connection.Execute("DELETE FROM operations WHERE created_at < ? AND status IN "
                                        "('SUCCESS', 'FAILED', 'CANCELLED')",
                                        {absl::ToUnixNanos(before)}));
    return absl::OkStatus();
  }));
  return removed;
}

absl::StatusOr<std::vector<std::string>> OperationStore::Check() {
  std::vector<std::string> complaints;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(connection.Query("PRAGMA integrity_check", {}, [&](const sqlite::Row& row) {
      if (row.Text(0) != "ok") complaints.push_back(absl::StrCat("operations.db: ", row.Text(0)));
    }));
    return connection.Query(
        "SELECT uuid, status, error, EXISTS (SELECT 1 FROM event_logs WHERE operation_uuid = uuid) "
        "FROM operations",
        {}, [&](const sqlite::Row& row) {
          const absl::string_view status = row.Text(1);
          const bool has_ended = status == kSuccess || status == kFailed || status == kCancelled;
          if (!has_ended) {
            complaints.push_back(absl::StrCat("operation ", row.Text(0), " is ", status));
          } else if (!row.Bool(3)) {
            complaints.push_back(absl::StrCat("operation ", row.Text(0), " has no events"));
          } else if (status == kFailed && row.Text(2).empty()) {
            complaints.push_back(absl::StrCat("operation ", row.Text(0), " failed for no reason"));
          }
        });
  }));
  return complaints;
}

}  // namespace contree
