#include "common/http/retry_after.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"

namespace contree {
namespace {
// Longer than anybody waits; keeps absurd numbers out of arithmetic.
constexpr double kMaxSeconds = 86'400.0 * 365;
}  // namespace

std::optional<absl::Duration> ParseRetryAfter(absl::string_view value, absl::Time now) {
  value = absl::StripAsciiWhitespace(value);
  double seconds = 0;
  if (absl::SimpleAtod(value, &seconds)) {
    if (std::isnan(seconds)) return std::nullopt;
    return absl::Seconds(std::clamp(seconds, 0.0, kMaxSeconds));
  }
  // IMF-fixdate, RFC 850, asctime.
  for (const char* format :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    absl::Time time;
    std::string ignored;
    if (absl::ParseTime(format, std::string(value), absl::UTCTimeZone(), &time, &ignored)) {
      return std::max(time - now, absl::ZeroDuration());
    }
  }
  return std::nullopt;
}

}  // namespace contree
