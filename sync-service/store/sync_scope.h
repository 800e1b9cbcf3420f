#ifndef SYNC_SERVICE_STORE_SYNC_SCOPE_H_
#define SYNC_SERVICE_STORE_SYNC_SCOPE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/sqlite/database.h"

namespace contree {

// Whose facts. In both files a number stands for it (table scope), so that no row repeats the
// words.
struct SyncScope {
  std::string tenant;
  std::string platform;  // as contree-service names it
};

// nullopt: nothing was stored under it.
absl::StatusOr<std::optional<int64_t>> FindScope(sqlite::Connection& connection,
                                                 const SyncScope& scope);
absl::StatusOr<int64_t> FindOrAddScope(sqlite::Connection& connection, const SyncScope& scope);

}  // namespace contree

#endif  // SYNC_SERVICE_STORE_SYNC_SCOPE_H_
