#ifndef COMMON_TELEMETRY_LOG_SCOPE_H_
#define COMMON_TELEMETRY_LOG_SCOPE_H_

// Fields that every line of the log has which this thread writes meanwhile: whose call it works on.

#include <string>

#include "absl/strings/string_view.h"
#include "common/telemetry/logging.h"

namespace contree {

// Lives on a stack. Scopes may lie within each other; a line that names a field itself keeps its
// own.
class LogScope {
 public:
  // Fields without a value are left out.
  explicit LogScope(LogFields fields);
  ~LogScope();
  LogScope(const LogScope&) = delete;
  LogScope& operator=(const LogScope&) = delete;

  // The innermost of this thread; nullptr: none.
  static const LogScope* Current();
  const LogFields& fields() const { return fields_; }
  const LogScope* outer() const { return outer_; }

 private:
  const LogFields fields_;
  const LogScope* const outer_;
};

// Whether lines of this level are written, so that their fields are worth making.
bool IsLogged(LogLevel level);

}  // namespace contree

#endif  // COMMON_TELEMETRY_LOG_SCOPE_H_
