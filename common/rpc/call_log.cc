#include "common/rpc/call_log.h"

namespace contree {

std::string TraceIdOf(absl::string_view traceparent) {
  // "00-" + 32 digits + "-" + 16 digits + "-01", checked where it came in.
  constexpr size_t kAt = 3;
  constexpr size_t kDigits = 32;
  if (traceparent.size() < kAt + kDigits) return "";
  return std::string(traceparent.substr(kAt, kDigits));
}

}  // namespace contree
