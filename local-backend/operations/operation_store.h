#ifndef LOCAL_BACKEND_OPERATIONS_OPERATION_STORE_H_
#define LOCAL_BACKEND_OPERATIONS_OPERATION_STORE_H_

// Operations and the event logs of those that ended, in operations.db. Thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/sqlite/database.h"

namespace contree {

inline constexpr char kInstanceKind[] = "instance";
inline constexpr char kImportKind[] = "image_import";

inline constexpr char kPending[] = "PENDING";    // waits for its turn
inline constexpr char kAssigned[] = "ASSIGNED";  // it is its turn: being prepared
inline constexpr char kExecuting[] = "EXECUTING";
inline constexpr char kSuccess[] = "SUCCESS";
inline constexpr char kFailed[] = "FAILED";
inline constexpr char kCancelled[] = "CANCELLED";

struct Operation {
  std::string uuid;
  std::string project = "";  // whose it is
  std::string kind = kInstanceKind;
  std::string status = kPending;
  std::string error;  // empty: none
  absl::Time created_at;
  absl::Duration duration;
  int64_t image_size = 0;   // bytes of the layer that it made
  absl::Duration cpu_time;  // consumed
  int64_t max_rss_kilobytes = 0;
  std::string image_uuid;
  std::string result_image_uuid;  // empty: none
  std::string request;            // JSON, as the API shows it again
  std::string result;             // JSON, an InstanceResult; empty: none

  bool IsTerminal() const {
    return status == kSuccess || status == kFailed || status == kCancelled;
  }
};

struct OperationFilter {
  std::string project = "";
  int limit = 100;
  int offset = 0;
  std::string status = "";                    // empty: any
  std::string kind = "";                      // empty: any
  absl::Time since = absl::InfinitePast();    // inclusive
  absl::Time until = absl::InfiniteFuture();  // inclusive
};

class OperationStore {
 public:
  // Opens or makes operations.db. What an earlier process left unfinished becomes FAILED.
  static absl::StatusOr<std::unique_ptr<OperationStore>> Open(const std::string& directory);

  absl::Status Insert(const Operation& operation);
  // Of one that has not ended.
  absl::Status SetStatus(const std::string& uuid, const std::string& status);
  // Stores how it ended, with its events.
  absl::Status Finish(const Operation& operation, const std::string& events);
  // NotFound: the project has no such operation.
  absl::StatusOr<Operation> Get(const std::string& project, const std::string& uuid);
  absl::StatusOr<std::string> Events(const std::string& project, const std::string& uuid);
  // Newest first.
  absl::StatusOr<std::vector<Operation>> List(const OperationFilter& filter);
  // Forgets those that have ended and are older. Returns how many.
  absl::StatusOr<int64_t> RemoveEnded(absl::Time before);
  // While nothing runs: a line for each thing that is wrong.
  absl::StatusOr<std::vector<std::string>> Check();

 private:
  explicit OperationStore(std::unique_ptr<sqlite::Database> database)
      : database_(std::move(database)) {}
  absl::Status FailUnfinished();

  const std::unique_ptr<sqlite::Database> database_;
};

absl::Status NoOperation(absl::string_view uuid);

}  // namespace contree

#endif  // LOCAL_BACKEND_OPERATIONS_OPERATION_STORE_H_
