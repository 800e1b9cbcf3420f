#ifndef LOCAL_BACKEND_API_PARAMETERS_H_
#define LOCAL_BACKEND_API_PARAMETERS_H_

// Query parameters as the API's clients write them. Thread-safe. InvalidArgument: a value that
// makes no sense; the message names the parameter.

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/http/http_server.h"

namespace contree {

struct Page {
  int limit = 100;
  int offset = 0;
};
absl::StatusOr<Page> PageParameters(const HttpExchange& exchange);

absl::StatusOr<int> IntParameter(const HttpExchange& exchange, const std::string& name,
                                 int otherwise, int least, int most);

// Absent, 0 and false are false; "", 1 and true are true.
absl::StatusOr<bool> FlagParameter(const HttpExchange& exchange, const std::string& name);

// A point in time: ISO 8601 (UTC where it names no zone), an age before `now` (90, 90s, 15m, 2h,
// 3d, 1w).
absl::StatusOr<absl::Time> ParseApiTime(absl::string_view text, absl::Time now);
absl::StatusOr<absl::Time> TimeParameter(const HttpExchange& exchange, const std::string& name,
                                         absl::Time otherwise);

}  // namespace contree

#endif  // LOCAL_BACKEND_API_PARAMETERS_H_
