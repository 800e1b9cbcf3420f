#include "gateway/tools/operation_error.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_context.h"

namespace contree::gateway {

absl::Status NameOperation(const absl::Status& status, absl::string_view operation_id) {
  if (absl::StrContains(status.message(), operation_id)) return status;
  return Annotate(status, absl::StrCat("operation ", operation_id));
}

}  // namespace contree::gateway
