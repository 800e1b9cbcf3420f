#include "contree-service/request_checks.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status_macros.h"
#include "common/uuid/uuid.h"
#include "contree-service/api/proto_time.h"
#include "contree-service/image_reference.h"

namespace contree {
namespace {

constexpr int kMaxPage = 1000;
constexpr absl::Duration kMaxTimeout = absl::Seconds(3600);
constexpr int64_t kMaxTruncateOutputAt = 10 << 20;
constexpr size_t kMaxShownBytes = 100;

absl::Status Invalid(absl::string_view field, absl::string_view value, absl::string_view allowed) {
  return absl::InvalidArgumentError(absl::StrCat(field, " \"",
                                                 absl::CHexEscape(value.substr(0, kMaxShownBytes)),
                                                 "\" is not valid: ", allowed));
}

bool IsAge(absl::string_view value) {
  if (!value.empty() && absl::StrContains("smhdw", value.substr(value.size() - 1)))
    value.remove_suffix(1);
  return !value.empty() && value.size() <= 9 &&
         std::all_of(value.begin(), value.end(), absl::ascii_isdigit);
}

bool IsAbsolute(absl::string_view path) {
  return absl::StartsWith(path, "/") && !absl::StrContains(path, absl::string_view("\0", 1));
}

absl::Status CheckTimeout(absl::Duration timeout) {
  if (timeout > absl::ZeroDuration() && timeout <= kMaxTimeout) return absl::OkStatus();
  return Invalid("timeout", absl::FormatDuration(timeout), "more than 0 and at most 3600 s");
}

}  // namespace

absl::Status CheckPage(int limit, int offset) {
  if (limit < 0 || limit > kMaxPage)
    return Invalid("limit", absl::StrCat(limit), "1 to 1000, or 0 for 100");
  if (offset < 0) return Invalid("offset", absl::StrCat(offset), "0 or more");
  return absl::OkStatus();
}

absl::StatusOr<std::string> CheckTimeBound(absl::string_view field, absl::string_view value) {
  if (value.empty() || IsAge(value)) return std::string(value);
  absl::Time time;
  std::string error;
  for (const char* format :
       {absl::RFC3339_full, "%Y-%m-%dT%H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%d"}) {
    if (absl::ParseTime(format, std::string(value), absl::UTCTimeZone(), &time, &error)) {
      return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
    }
  }
  return Invalid(
      field, value,
      "an ISO 8601 time such as 2026-01-31T12:00:00Z, or an age such as 15m, 2h, 3d, 1w");
}

absl::StatusOr<std::string> CheckPath(absl::string_view path) {
  if (path.empty()) return std::string("/");
  if (!IsAbsolute(path))
    return Invalid("path", path, "an absolute path inside the image, such as /etc/hosts");
  return std::string(path);
}

absl::Status CheckRunInstance(const v1::RunInstanceRequest& request) {
  if (request.command().empty()) {
    return absl::InvalidArgumentError(
        "command is empty: give a program's path, or a shell expression with shell = true");
  }
  if (!request.cwd().empty() && !IsAbsolute(request.cwd())) {
    return Invalid("cwd", request.cwd(), "an absolute path inside the image");
  }
  if (request.has_timeout()) {
    RETURN_IF_ERROR(CheckTimeout(GetDuration(request.timeout())));
  }
  if (request.truncate_output_at() < 0 || request.truncate_output_at() > kMaxTruncateOutputAt) {
    return Invalid("truncate_output_at", absl::StrCat(request.truncate_output_at()),
                   "at most 10485760 bytes, or 0 for 8000");
  }
  if (request.max_layer_bytes() < 0) {
    return Invalid("max_layer_bytes", absl::StrCat(request.max_layer_bytes()),
                   "bytes, or 0 for 12 GiB");
  }
  for (const auto& [name, value] : request.env()) {
    if (name.empty() || absl::StrContains(name, "=") ||
        absl::StrContains(name, absl::string_view("\0", 1))) {
      return Invalid("env name", name, "not empty and without = or NUL");
    }
    if (absl::StrContains(value, absl::string_view("\0", 1))) {
      return absl::InvalidArgumentError(
          absl::StrCat("the value of env ", name, " is not valid: it holds a NUL"));
    }
  }
  for (const auto& [path, file] : request.files()) {
    if (!IsAbsolute(path)) return Invalid("files path", path, "an absolute path inside the image");
    if (!IsUuid(file.uuid()))
      return Invalid(absl::StrCat("the file for ", path), file.uuid(), "the uuid of an upload");
    if (file.mode() > 07777)
      return Invalid(absl::StrCat("the mode of ", path), absl::StrCat(file.mode()),
                     "at most 07777");
  }
  return absl::OkStatus();
}

absl::Status CheckImportImage(const v1::ImportImageRequest& request) {
  const bool is_reference =
      absl::StartsWith(request.registry_url(), "docker://") &&
      request.registry_url().size() > sizeof("docker://") - 1 &&
      std::all_of(request.registry_url().begin(), request.registry_url().end(),
                  [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (!is_reference) {
    return Invalid("registry_url", request.registry_url(),
                   "a normalised reference such as docker://docker.io/library/busybox:latest");
  }
  if (!request.tag().empty()) RETURN_IF_ERROR(CheckTag(request.tag()));
  if (request.has_timeout()) RETURN_IF_ERROR(CheckTimeout(GetDuration(request.timeout())));
  return absl::OkStatus();
}

absl::Status CheckGrep(const v1::GrepRequest& request) {
  if (request.patterns().empty())
    return absl::InvalidArgumentError("patterns is empty: give at least one regular expression");
  for (const std::string& pattern : request.patterns()) {
    if (pattern.empty())
      return absl::InvalidArgumentError("a pattern is empty: it would match every line");
  }
  for (const std::string& path : request.paths()) RETURN_IF_ERROR(CheckPath(path).status());
  if (request.max_count() < 0)
    return Invalid("max_count", absl::StrCat(request.max_count()), "0 (no bound) or more");
  if (request.max_total() < 0)
    return Invalid("max_total", absl::StrCat(request.max_total()), "0 (for 1000) or more");
  return absl::OkStatus();
}

absl::Status CheckSha256(absl::string_view sha256) {
  const bool valid =
      sha256.size() == 64 && std::all_of(sha256.begin(), sha256.end(), [](unsigned char c) {
        return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
      });
  return valid ? absl::OkStatus() : Invalid("sha256", sha256, "64 lower-case hexadecimal digits");
}

absl::Status CheckOperationId(absl::string_view id) {
  if (IsUuid(id)) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("there is no operation \"", absl::CHexEscape(id.substr(0, kMaxShownBytes)),
                   "\": an operation's id is a UUID (list_operations shows them)"));
}

}  // namespace contree
