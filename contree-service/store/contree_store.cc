#include "contree-service/store/contree_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

using sqlite::Connection;
using sqlite::Row;

// Appended to, never edited.
constexpr absl::string_view kMigrations[] = {
    R"sql(
      -- Times are microseconds since 1970; kinds and states are the numbers of contree.v1.
      CREATE TABLE operation (
        tenant TEXT NOT NULL,
        platform TEXT NOT NULL,
        id TEXT NOT NULL,
        kind INTEGER NOT NULL,
        command TEXT NOT NULL,
        image TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        is_final INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (tenant, platform, id)
      ) WITHOUT ROWID;
      CREATE INDEX operation_unfinished ON operation (created_at) WHERE is_final = 0;

      -- With a rowid: records may be megabytes.
      CREATE TABLE final_record (
        tenant TEXT NOT NULL,
        platform TEXT NOT NULL,
        id TEXT NOT NULL,
        stored_at INTEGER NOT NULL,
        record BLOB NOT NULL,  -- contree.v1.Operation
        PRIMARY KEY (tenant, platform, id)
      );
      CREATE INDEX final_record_age ON final_record (stored_at);

      CREATE TABLE image_origin (
        tenant TEXT NOT NULL,
        platform TEXT NOT NULL,
        image TEXT NOT NULL,
        parent TEXT NOT NULL,  -- empty: imported
        command TEXT NOT NULL,
        exit_code INTEGER NOT NULL,
        operation_id TEXT NOT NULL,
        registry_url TEXT NOT NULL,
        PRIMARY KEY (tenant, platform, image)
      ) WITHOUT ROWID;
      CREATE INDEX image_origin_parent ON image_origin (tenant, platform, parent, operation_id);
    )sql",
    R"sql(
      ALTER TABLE image_origin ADD COLUMN is_detailed INTEGER NOT NULL DEFAULT 1;

      CREATE TABLE operations_read (
        tenant TEXT NOT NULL,
        platform TEXT NOT NULL,
        read_from INTEGER NOT NULL,
        read_until INTEGER NOT NULL,
        to_the_end INTEGER NOT NULL,
        PRIMARY KEY (tenant, platform)
      ) WITHOUT ROWID;
    )sql",
    R"sql(
      ALTER TABLE image_origin ADD COLUMN layer_bytes INTEGER NOT NULL DEFAULT 0;
      CREATE INDEX image_origin_age ON image_origin (tenant, platform, operation_id);
    )sql",
    R"sql(
      ALTER TABLE operation ADD COLUMN principal TEXT NOT NULL DEFAULT '';
      ALTER TABLE image_origin ADD COLUMN principal TEXT NOT NULL DEFAULT '';
    )sql",
};

constexpr char kSelectStarted[] =
    "SELECT command, principal FROM operation WHERE tenant = ? AND platform = ? AND id = ?";

// A record is there for convenience and for when the platform has forgotten; an image lives 180
// days untouched, so nobody asks for its operation later. Origins are small and stay.
constexpr absl::Duration kRecordRetention = absl::Hours(24 * 30);
constexpr absl::Duration kOperationRetention = absl::Hours(24 * 180);

}  // namespace

ContreeStore::ContreeStore(std::unique_ptr<sqlite::Database> database)
    : database_(std::move(database)) {}

absl::StatusOr<std::unique_ptr<ContreeStore>> ContreeStore::Open(const std::string& path,
                                                                 absl::Time now) {
  ASSIGN_OR_RETURN(auto database,
                   sqlite::Database::Open({.path = path,
                                           .migrations = kMigrations,
                                           .durability = sqlite::Durability::kNormal,
                                           .on_corruption = sqlite::OnCorruption::kRefuse}));
  std::unique_ptr<ContreeStore> store(new ContreeStore(std::move(database)));
  RETURN_IF_ERROR(store->DropOld(now));
  return store;
}

absl::Status ContreeStore::DropOld(absl::Time now) {
  return database_->Write([&](Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(connection
                        .Execute("DELETE FROM final_record WHERE stored_at < ?",
                                 {absl::ToUnixMicros(now - kRecordRetention)})
                        .status());
    return connection
        .Execute("DELETE FROM operation WHERE created_at < ?",
                 {absl::ToUnixMicros(now - kOperationRetention)})
        .status();
  });
}

absl::Status ContreeStore::AddStarted(const StoreScope& scope, const StartedOperation& operation) {
  return database_->Write([&](Connection& connection) {
    return connection
        .Execute(
            "INSERT INTO operation (tenant, platform, id, kind, command, image, created_at,"
            " principal) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            {scope.tenant, scope.platform, operation.id, int64_t{operation.kind}, operation.command,
             operation.image, absl::ToUnixMicros(operation.created_at), operation.principal})
        .status();
  });
}

absl::Status ContreeStore::PutFinal(const StoreScope& scope, const v1::Operation& operation,
                                    absl::Time now) {
  const std::string record = operation.SerializeAsString();
  return database_->Write([&](Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(
        connection
            .Execute("INSERT INTO final_record (tenant, platform, id, stored_at, record)"
                     " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                     {scope.tenant, scope.platform, operation.id(), absl::ToUnixMicros(now),
                      sqlite::Blob{record}})
            .status());
    // How the caller wrote the command says more than how the platform shows it.
    std::string command = operation.command();
    std::string principal;
    RETURN_IF_ERROR(connection.Query(kSelectStarted, {scope.tenant, scope.platform, operation.id()},
                                     [&](const Row& row) {
                                       command = row.String(0);
                                       principal = row.String(1);
                                     }));
    RETURN_IF_ERROR(
        connection
            .Execute(
                "UPDATE operation SET is_final = 1 WHERE tenant = ? AND platform = ? AND id = ?",
                {scope.tenant, scope.platform, operation.id()})
            .status());
    // A command that changed nothing gives back the image that it started from.
    if (operation.result_image().empty() || operation.result_image() == operation.image())
      return absl::OkStatus();
    return connection
        .Execute(
            "INSERT INTO image_origin (tenant, platform, image, parent, command, exit_code,"
            " operation_id, registry_url, layer_bytes, principal)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET command = excluded.command,"
            " exit_code = excluded.exit_code, registry_url = excluded.registry_url,"
            " layer_bytes = excluded.layer_bytes, principal = excluded.principal, is_detailed = 1"
            " WHERE is_detailed = 0 AND operation_id = excluded.operation_id",
            {scope.tenant, scope.platform, operation.result_image(), operation.image(), command,
             int64_t{operation.instance().exit_code()}, operation.id(),
             operation.import().registry_url(), operation.layer_bytes(), principal})
        .status();
  });
}

absl::StatusOr<std::optional<v1::Operation>> ContreeStore::FindFinal(const StoreScope& scope,
                                                                     absl::string_view id) {
  std::optional<v1::Operation> found;
  bool readable = true;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    return connection.Query(
        "SELECT record FROM final_record WHERE tenant = ? AND platform = ? AND id = ?",
        {scope.tenant, scope.platform, id}, [&](const Row& row) {
          const absl::string_view bytes = row.Text(0);
          readable = found.emplace().ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
        });
  }));
  if (!readable)
    return absl::DataLossError(
        absl::StrCat("the stored record of operation ", id, " cannot be read"));
  return found;
}

absl::Status ContreeStore::FillStarted(const StoreScope& scope,
                                       absl::Span<v1::Operation> operations) {
  return database_->Read([&](Connection& connection) -> absl::Status {
    for (v1::Operation& operation : operations) {
      RETURN_IF_ERROR(connection.Query(
          kSelectStarted, {scope.tenant, scope.platform, operation.id()}, [&](const Row& row) {
            operation.set_command(row.String(0));
            operation.set_principal(row.String(1));
          }));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<ContreeStore::Unfinished>> ContreeStore::FindUnfinished(absl::Time since,
                                                                                   int limit) {
  std::vector<Unfinished> found;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    return connection.Query(
        "SELECT tenant, platform, id FROM operation WHERE is_final = 0 AND created_at >= ?"
        " ORDER BY created_at DESC LIMIT ?",
        {absl::ToUnixMicros(since), int64_t{limit}}, [&](const Row& row) {
          found.push_back(
              {.scope = {.tenant = row.String(0), .platform = row.String(1)}, .id = row.String(2)});
        });
  }));
  return found;
}

}  // namespace contree
