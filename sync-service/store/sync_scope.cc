#include "sync-service/store/sync_scope.h"

#include "absl/status/status.h"
#include "common/status/status_macros.h"

namespace contree {

using sqlite::Connection;
using sqlite::Row;

absl::StatusOr<std::optional<int64_t>> FindScope(Connection& connection, const SyncScope& scope) {
  std::optional<int64_t> id;
  RETURN_IF_ERROR(connection.Query("SELECT id FROM scope WHERE tenant = ? AND platform = ?",
                                   {scope.tenant, scope.platform},
                                   [&id](const Row& row) { id = row.Int(0); }));
  return id;
}

absl::StatusOr<int64_t> FindOrAddScope(Connection& connection, const SyncScope& scope) {
  RETURN_IF_ERROR(
      connection
          .Execute("INSERT INTO scope (tenant, platform) VALUES (?, ?) ON CONFLICT DO NOTHING",
                   {scope.tenant, scope.platform})
          .status());
  ASSIGN_OR_RETURN(const std::optional<int64_t> id, FindScope(connection, scope));
  if (!id.has_value()) return absl::InternalError("a scope was added and is not there");
  return *id;
}

}  // namespace contree
