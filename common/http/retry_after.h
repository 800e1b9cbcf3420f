#ifndef COMMON_HTTP_RETRY_AFTER_H_
#define COMMON_HTTP_RETRY_AFTER_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace contree {

// How long a Retry-After header asks to wait from `now` on: whole or fractional seconds, or an HTTP
// date in any of RFC 9110's three forms. Never negative; nullopt: unreadable.
std::optional<absl::Duration> ParseRetryAfter(absl::string_view value, absl::Time now);

}  // namespace contree

#endif  // COMMON_HTTP_RETRY_AFTER_H_
