#ifndef CONTREE_SERVICE_STORE_CONTREE_STORE_H_
#define CONTREE_SERVICE_STORE_CONTREE_STORE_H_

// What contree-service keeps in contree.db: the operations started here, the final records of
// operations, and which image was made from which. Every row belongs to a tenant and a platform.
//
// Durability is NORMAL on purpose: a crash of the process loses nothing; a power cut may lose the
// last moments, and what is lost then can be read again from the platform (an operation's record,
// and through the operations list its lineage), while FULL would put a disk flush before every run.
// It is not a cache, though: a damaged file is refused, because records outlive their retention on
// the platform.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/sqlite/database.h"
#include "contree/v1/operation.pb.h"

namespace contree {

// Whose facts.
struct StoreScope {
  std::string tenant;
  std::string platform;
};

// An operation that was started through this service.
struct StartedOperation {
  std::string id;
  v1::OperationKind kind = v1::OPERATION_KIND_UNSPECIFIED;
  std::string command;  // as it was given
  std::string image;    // as it was given: a UUID or "tag:NAME"
  absl::Time created_at;
  std::string principal = "";  // who of the tenant; empty: unknown
};

// How an image came to be.
struct ImageOrigin {
  std::string image;   // the one that was made
  std::string parent;  // the one the command ran on; empty: imported
  std::string command;
  int32_t exit_code = 0;
  std::string operation_id;
  std::string registry_url;  // of an import
  int64_t layer_bytes = 0;   // what it added to its parent; 0: unknown
  // False: only the list of operations was seen, which shows no command, exit code and registry.
  bool is_detailed = true;
  std::string principal = "";  // who of the tenant started it here
};

// How much of a platform's list of operations was read for its origins: every operation made at
// `from` or later and before `until`, and where `to_the_end` all older ones too.
struct OperationsRead {
  absl::Time from;
  absl::Time until;
  bool to_the_end = false;
};

// Thread-safe. Every method may return Unavailable, DataLoss, ResourceExhausted (disk full) as
// sqlite::Connection does.
class ContreeStore {
 public:
  // Opens or makes the file and drops what is older than its retention.
  static absl::StatusOr<std::unique_ptr<ContreeStore>> Open(const std::string& path,
                                                            absl::Time now);

  // Remembers an operation; one that is known keeps its row.
  absl::Status AddStarted(const StoreScope& scope, const StartedOperation& operation);

  // Stores a final operation's record and, where it made an image, that image's origin. The first
  // record stays.
  absl::Status PutFinal(const StoreScope& scope, const v1::Operation& operation, absl::Time now);

  // Stores the origins of images that the platform's list of operations shows, and how far the list
  // was read with it (nullopt: unchanged). What is known in detail stays.
  absl::Status AddListed(const StoreScope& scope, absl::Span<const v1::Operation> operations,
                         const std::optional<OperationsRead>& read);

  // nullopt: never read.
  absl::StatusOr<std::optional<OperationsRead>> FindOperationsRead(const StoreScope& scope);

  // The final record; nullopt: none is stored.
  absl::StatusOr<std::optional<v1::Operation>> FindFinal(const StoreScope& scope,
                                                         absl::string_view id);

  // Sets the command, as it was given, and the principal of those of `operations` that were started
  // here.
  absl::Status FillStarted(const StoreScope& scope, absl::Span<v1::Operation> operations);

  // Operations of any platform that were started here at `since` or later and are not known to be
  // final, newest first.
  struct Unfinished {
    StoreScope scope;
    std::string id;
  };
  absl::StatusOr<std::vector<Unfinished>> FindUnfinished(absl::Time since, int limit);

  // nullopt: nobody knows where the image comes from.
  absl::StatusOr<std::optional<ImageOrigin>> FindOrigin(const StoreScope& scope,
                                                        absl::string_view image);

  // The origin of `image`, of its parent, and so on up to an import or an image of unknown origin.
  // An image that is its own ancestor (a platform that errs) ends it.
  absl::StatusOr<std::vector<ImageOrigin>> FindAncestry(const StoreScope& scope,
                                                        absl::string_view image);

  // What was made directly from `image`, oldest first.
  absl::StatusOr<std::vector<ImageOrigin>> FindChildren(const StoreScope& scope,
                                                        absl::string_view image);

  // At most `limit`, the newest first.
  absl::StatusOr<std::vector<ImageOrigin>> ListOrigins(const StoreScope& scope, int limit);

  // Drops what is older than its retention.
  absl::Status DropOld(absl::Time now);

 private:
  explicit ContreeStore(std::unique_ptr<sqlite::Database> database);

  std::unique_ptr<sqlite::Database> database_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_STORE_CONTREE_STORE_H_
