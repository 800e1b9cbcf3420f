#include "gateway/mcp/log_level.h"

#include <cstddef>

namespace contree::gateway {
namespace {

constexpr absl::string_view kNames[] = {"debug", "info",     "notice", "warning",
                                        "error", "critical", "alert",  "emergency"};

}  // namespace

absl::string_view LogLevelName(LogLevel level) { return kNames[static_cast<size_t>(level)]; }

std::optional<LogLevel> ReadLogLevel(absl::string_view name) {
  int level = 0;
  for (const absl::string_view known : kNames) {
    if (known == name) return static_cast<LogLevel>(level);
    ++level;
  }
  return std::nullopt;
}

}  // namespace contree::gateway
