#ifndef COMMON_STATUS_STATUS_CONTEXT_H_
#define COMMON_STATUS_STATUS_CONTEXT_H_

// Errors that say where they come from.

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree {

// "context: message", with the code kept. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

}  // namespace contree

#endif  // COMMON_STATUS_STATUS_CONTEXT_H_
