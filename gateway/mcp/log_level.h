#ifndef GATEWAY_MCP_LOG_LEVEL_H_
#define GATEWAY_MCP_LOG_LEVEL_H_

// The levels of notifications/message, which are syslog's.

#include <optional>

#include "absl/strings/string_view.h"

namespace contree::gateway {

// Greater is worse.
enum class LogLevel {
  kDebug,
  kInfo,
  kNotice,
  kWarning,
  kError,
  kCritical,
  kAlert,
  kEmergency,
};

// "debug", "info" …
absl::string_view LogLevelName(LogLevel level);
// nullopt: no such level.
std::optional<LogLevel> ReadLogLevel(absl::string_view name);

}  // namespace contree::gateway

#endif  // GATEWAY_MCP_LOG_LEVEL_H_
