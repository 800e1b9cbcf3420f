#ifndef SYNC_SERVICE_STORE_STATE_STORE_H_
#define SYNC_SERVICE_STORE_STATE_STORE_H_

// The directory states that syncs made (sync.db). They cannot be made again where the directory has
// gone on, so a commit survives a power cut, and a damaged file is refused.
//
// A state is one row with the paths and content digests of its directories; contents are stored
// once for all states of a tenant and platform.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"
#include "sync-service/store/directory_content.h"
#include "sync-service/store/sync_scope.h"

namespace contree {

struct StateSummary {
  int64_t files = 0;
  int64_t bytes = 0;
};

// Thread-safe. Every method may return Unavailable, DataLoss, ResourceExhausted (disk full) as
// sqlite::Connection does.
class StateStore {
 public:
  // Opens or makes the file and drops what is past its retention. FailedPrecondition: a newer
  // version of the program wrote it. DataLoss: damaged.
  static absl::StatusOr<std::unique_ptr<StateStore>> Open(const std::string& path, absl::Time now,
                                                          int64_t max_scope_bytes = 256 << 20);

  // nullopt: no such state. Both keep the state from being dropped for another while.
  absl::StatusOr<std::optional<StateSummary>> FindSummary(const SyncScope& scope,
                                                          absl::string_view id, absl::Time now);
  absl::StatusOr<std::optional<DirectoryState>> Find(const SyncScope& scope, absl::string_view id,
                                                     absl::Time now);

  // Hands out the contents with these digests, in their order, each with its index; those that are
  // not stored are left out. Ends with the first error of `each`. DataLoss: one cannot be read.
  absl::Status ReadContents(
      const SyncScope& scope, absl::Span<const std::string> digests,
      absl::FunctionRef<absl::Status(size_t index, const DirectoryContent& content)> each);

  // Stores a state; one that is known stays. `content_of` gives the content of directory number
  // `index`, and is asked for those only that are not stored yet. Its error ends it: then nothing
  // is stored.
  absl::Status Put(const SyncScope& scope, absl::string_view id, const DirectoryState& state,
                   absl::FunctionRef<absl::StatusOr<DirectoryContent>(size_t index)> content_of,
                   absl::Time now);

  // Drops states that nobody used for 30 days; beyond max_scope_bytes of rows of one tenant and
  // platform also those that were not used for a day, the least recently used first; and contents
  // that no state has any more.
  absl::Status DropOld(absl::Time now);

 private:
  StateStore(std::unique_ptr<sqlite::Database> database, int64_t max_scope_bytes)
      : database_(std::move(database)), max_scope_bytes_(max_scope_bytes) {}
  absl::Status MarkUsed(int64_t scope, absl::string_view id, absl::Time used_at, absl::Time now);

  const std::unique_ptr<sqlite::Database> database_;
  const int64_t max_scope_bytes_;
};

}  // namespace contree

#endif  // SYNC_SERVICE_STORE_STATE_STORE_H_
