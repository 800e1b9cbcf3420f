#include "common/telemetry/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/telemetry/log_scope.h"

namespace contree {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string Quoted(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Where the scopes of a thread begin.
const LogScope*& Innermost() {
  thread_local const LogScope* innermost = nullptr;
  return innermost;
}

bool HasField(const LogFields& fields, absl::string_view name) {
  return std::any_of(fields.begin(), fields.end(),
                     [name](const auto& field) { return field.first == name; });
}

void AppendField(absl::string_view name, absl::string_view value, std::string* line) {
  absl::StrAppend(line, ",", Quoted(name), ":", Quoted(value));
}

}  // namespace

LogScope::LogScope(LogFields fields) : fields_(std::move(fields)), outer_(Innermost()) {
  Innermost() = this;
}

LogScope::~LogScope() { Innermost() = outer_; }

const LogScope* LogScope::Current() { return Innermost(); }

bool IsLogged(LogLevel level) { return spdlog::default_logger_raw()->should_log(ToSpdlog(level)); }

absl::Status InitLogging(absl::string_view program, absl::string_view level) {
  // spdlog's own parser takes any word and turns logging off for those it does not know.
  const std::string word = absl::AsciiStrToLower(level);
  spdlog::level::level_enum parsed = spdlog::level::off;
  if (word == "debug") {
    parsed = spdlog::level::debug;
  } else if (word == "info") {
    parsed = spdlog::level::info;
  } else if (word == "warning" || word == "warn") {
    parsed = spdlog::level::warn;
  } else if (word == "error" || word == "critical") {
    parsed = spdlog::level::err;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("'", level, "' is no log level: use debug, info, warning or error"));
  }
  auto logger = std::make_shared<spdlog::logger>(std::string(program),
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(parsed);
  logger->set_pattern("%v");
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  return absl::OkStatus();
}

void Log(LogLevel level, absl::string_view message, const LogFields& fields) {
  const spdlog::level::level_enum spdlog_level = ToSpdlog(level);
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(spdlog_level)) return;
  const auto level_name = spdlog::level::to_string_view(spdlog_level);
  std::string line = absl::StrCat(
      "{\"time\":\"", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
      "\",\"level\":\"", absl::string_view(level_name.data(), level_name.size()),
      "\",\"program\":", Quoted(logger->name()), ",\"message\":", Quoted(message));
  for (const auto& [name, value] : fields) AppendField(name, value, &line);
  LogFields written;  // of the scopes, from the inside out
  for (const LogScope* scope = LogScope::Current(); scope != nullptr; scope = scope->outer()) {
    for (const auto& [name, value] : scope->fields()) {
      if (value.empty() || HasField(fields, name) || HasField(written, name)) continue;
      AppendField(name, value, &line);
      written.emplace_back(name, "");
    }
  }
  line.push_back('}');
  logger->log(spdlog_level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace contree
