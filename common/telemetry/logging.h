#ifndef COMMON_TELEMETRY_LOGGING_H_
#define COMMON_TELEMETRY_LOGGING_H_

// Logs go to stderr, one JSON object a line, through spdlog's default logger: with MCP on stdio,
// stdout is protocol only. Never log a token, a credential, a request's env, stdin or file content.

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace contree {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Sets the default logger of this process up. `level` is one of debug, info, warning, error, in any
// case. InvalidArgument: another word.
absl::Status InitLogging(absl::string_view program, absl::string_view level);

using LogFields = std::vector<std::pair<absl::string_view, std::string>>;

// Writes {"time": …, "level": …, "program": …, "message": message, …fields}. Thread-safe; does
// nothing below the level.
void Log(LogLevel level, absl::string_view message, const LogFields& fields = {});

inline void LogDebug(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarning(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kWarning, message, fields);
}
inline void LogError(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kError, message, fields);
}

}  // namespace contree

#endif  // COMMON_TELEMETRY_LOGGING_H_
