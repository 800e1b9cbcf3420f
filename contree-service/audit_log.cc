#include "contree-service/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/telemetry/logging.h"
#include "common/text/json_text.h"
#include "contree-service/api/operation_json.h"

namespace contree {
namespace {

using nlohmann::ordered_json;

std::string Cut(const std::string& text) {
  return text.size() <= kMaxAuditedBytes ? text
                                         : absl::StrCat(text.substr(0, kMaxAuditedBytes), "…");
}

void Set(const char* name, const std::string& text, ordered_json* line) {
  if (!text.empty()) (*line)[name] = Cut(text);
}

// In one write, so that lines of several threads and processes do not mix.
void Append(int file, const ordered_json& line) {
  const std::string text = absl::StrCat(ToJsonText(line), "\n");
  ssize_t written;
  do {
    written = write(file, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(text.size()))
    LogError("a line of the audit log could not be written", {{"action", line["action"].dump()}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& path, Clock* clock) {
  UniqueFd file;
  if (path == "-") {
    file.Reset(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  } else if (!path.empty()) {
    file.Reset(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  }
  if (!path.empty() && !file.is_open())
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open the audit log ", path));
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(file), clock));
}

void AuditLog::Record(absl::string_view action, const CallContext& context,
                      const AuditFields& fields, const absl::Status& outcome) const {
  if (!file_.is_open()) return;
  ordered_json line = {
      {"time", absl::FormatTime(absl::RFC3339_full, clock_->Now(), absl::UTCTimeZone())},
      {"action", std::string(action)},
      {"tenant", context.tenant}};
  Set("principal", context.principal, &line);
  Set("request_id", context.request_id, &line);
  Set("traceparent", context.trace.traceparent, &line);
  for (const auto& [name, text] : fields) Set(std::string(name).c_str(), text, &line);
  line["outcome"] = absl::StatusCodeToString(outcome.code());
  Set("error", std::string(outcome.message()), &line);
  Append(file_.get(), line);
}

void AuditLog::RecordEnd(const std::string& tenant, const v1::Operation& operation) const {
  if (!file_.is_open()) return;
  ordered_json line = {
      {"time", absl::FormatTime(absl::RFC3339_full, clock_->Now(), absl::UTCTimeZone())},
      {"action", "ended"},
      {"tenant", tenant},
      {"operation_id", operation.id()},
      {"outcome", std::string(StateName(operation.state()))}};
  if (operation.has_instance()) line["exit_code"] = operation.instance().exit_code();
  Set("image", operation.image(), &line);
  Set("result_image", operation.result_image(), &line);
  Set("error", operation.error(), &line);
  Append(file_.get(), line);
}

}  // namespace contree
