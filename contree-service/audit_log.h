#ifndef CONTREE_SERVICE_AUDIT_LOG_H_
#define CONTREE_SERVICE_AUDIT_LOG_H_

// Who did what, on which image, with what outcome, for whoever has to account for it: a JSON object
// a line, appended to a file of its own (0600) in one write. Never a token, a variable's value,
// stdin or a file's content. Thread-safe.
//
// A run has two lines: "run" when it is asked for, with the outcome of that, and "ended", with the
// same operation_id, when its command ended.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/files/unique_fd.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree/v1/operation.pb.h"

namespace contree {

// Text that is longer is cut, and ends in "…".
inline constexpr size_t kMaxAuditedBytes = 4096;

using AuditFields = std::vector<std::pair<absl::string_view, std::string>>;

class AuditLog {
 public:
  // `path`: "-" for stderr; empty: nothing is written. `clock` must outlive it. NotFound and
  // others: the file cannot be opened.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& path, Clock* clock);

  // Fields that are empty are left out.
  void Record(absl::string_view action, const CallContext& context, const AuditFields& fields,
              const absl::Status& outcome) const;
  void RecordEnd(const std::string& tenant, const v1::Operation& operation) const;

 private:
  AuditLog(UniqueFd file, Clock* clock) : file_(std::move(file)), clock_(clock) {}

  const UniqueFd file_;
  Clock* const clock_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_AUDIT_LOG_H_
