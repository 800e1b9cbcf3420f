// What of the store is about lineage: which image was made from which.

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "contree-service/store/contree_store.h"

namespace contree {
namespace {

using sqlite::Connection;
using sqlite::Row;

// Begins every query for origins: OriginFromRow reads these columns.
constexpr absl::string_view kSelectOrigins =
    "SELECT image, parent, command, exit_code, operation_id, registry_url, layer_bytes, "
    "is_detailed,"
    " principal FROM image_origin WHERE tenant = ? AND platform = ?";

std::string SelectOrigin() { return absl::StrCat(kSelectOrigins, " AND image = ?"); }

ImageOrigin OriginFromRow(const Row& row) {
  return {.image = row.String(0),
          .parent = row.String(1),
          .command = row.String(2),
          .exit_code = static_cast<int32_t>(row.Int(3)),
          .operation_id = row.String(4),
          .registry_url = row.String(5),
          .layer_bytes = row.Int(6),
          .is_detailed = row.Bool(7),
          .principal = row.String(8)};
}

absl::Status AddOrigin(Connection& connection, const StoreScope& scope,
                       const v1::Operation& operation) {
  return connection
      .Execute(
          "INSERT INTO image_origin (tenant, platform, image, parent, command, exit_code,"
          " operation_id, registry_url, layer_bytes, is_detailed)"
          " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, 0)"
          " ON CONFLICT DO NOTHING",
          {scope.tenant, scope.platform, operation.result_image(), operation.image(),
           operation.command(), operation.id(), operation.import().registry_url(),
           operation.layer_bytes()})
      .status();
}

}  // namespace

absl::Status ContreeStore::AddListed(const StoreScope& scope,
                                     absl::Span<const v1::Operation> operations,
                                     const std::optional<OperationsRead>& read) {
  return database_->Write([&](Connection& connection) -> absl::Status {
    for (const v1::Operation& operation : operations) {
      // A command that changed nothing gives back the image that it started from.
      if (!operation.result_image().empty() && operation.result_image() != operation.image())
        RETURN_IF_ERROR(AddOrigin(connection, scope, operation));
    }
    if (!read.has_value()) return absl::OkStatus();
    return connection
        .Execute(
            "INSERT INTO operations_read (tenant, platform, read_from, read_until, to_the_end)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET read_from = excluded.read_from,"
            " read_until = excluded.read_until, to_the_end = excluded.to_the_end",
            {scope.tenant, scope.platform, absl::ToUnixMicros(read->from),
             absl::ToUnixMicros(read->until), int64_t{read->to_the_end}})
        .status();
  });
}

absl::StatusOr<std::optional<OperationsRead>> ContreeStore::FindOperationsRead(
    const StoreScope& scope) {
  std::optional<OperationsRead> found;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    return connection.Query(
        "SELECT read_from, read_until, to_the_end FROM operations_read"
        " WHERE tenant = ? AND platform = ?",
        {scope.tenant, scope.platform}, [&](const Row& row) {
          found = {.from = absl::FromUnixMicros(row.Int(0)),
                   .until = absl::FromUnixMicros(row.Int(1)),
                   .to_the_end = row.Bool(2)};
        });
  }));
  return found;
}

absl::StatusOr<std::optional<ImageOrigin>> ContreeStore::FindOrigin(const StoreScope& scope,
                                                                    absl::string_view image) {
  std::optional<ImageOrigin> found;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    return connection.Query(SelectOrigin(), {scope.tenant, scope.platform, image},
                            [&](const Row& row) { found = OriginFromRow(row); });
  }));
  return found;
}

absl::StatusOr<std::vector<ImageOrigin>> ContreeStore::FindAncestry(const StoreScope& scope,
                                                                    absl::string_view image) {
  std::vector<ImageOrigin> found;
  absl::flat_hash_set<std::string> seen;
  const std::string select = SelectOrigin();
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) -> absl::Status {
    // Step by step: a recursive query would need its own guard against circles.
    std::string next(image);
    while (!next.empty() && seen.insert(next).second) {
      const std::string asked = std::exchange(next, "");
      RETURN_IF_ERROR(
          connection.Query(select, {scope.tenant, scope.platform, asked}, [&](const Row& row) {
            found.push_back(OriginFromRow(row));
            next = found.back().parent;
          }));
    }
    return absl::OkStatus();
  }));
  return found;
}

absl::StatusOr<std::vector<ImageOrigin>> ContreeStore::FindChildren(const StoreScope& scope,
                                                                    absl::string_view image) {
  std::vector<ImageOrigin> found;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    // Operation ids are time-ordered.
    return connection.Query(absl::StrCat(kSelectOrigins, " AND parent = ? ORDER BY operation_id"),
                            {scope.tenant, scope.platform, image},
                            [&](const Row& row) { found.push_back(OriginFromRow(row)); });
  }));
  return found;
}

absl::StatusOr<std::vector<ImageOrigin>> ContreeStore::ListOrigins(const StoreScope& scope,
                                                                   int limit) {
  std::vector<ImageOrigin> found;
  RETURN_IF_ERROR(database_->Read([&](Connection& connection) {
    return connection.Query(absl::StrCat(kSelectOrigins, " ORDER BY operation_id DESC LIMIT ?"),
                            {scope.tenant, scope.platform, int64_t{limit}},
                            [&](const Row& row) { found.push_back(OriginFromRow(row)); });
  }));
  return found;
}

}  // namespace contree
