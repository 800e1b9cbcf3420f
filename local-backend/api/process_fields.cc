#include "local-backend/api/process_fields.h"

#include <limits.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/operations/stream_representation.h"

namespace contree {
namespace {

constexpr int64_t kMaxTruncateAt = 10 * 1024 * 1024;
constexpr int64_t kMaxId = 65'534;  // 65535 means "none" to the kernel

}  // namespace

absl::StatusOr<StdinPiece> ParseStdin(const nlohmann::json& stream, bool closes_by_default) {
  StdinPiece piece;
  ASSIGN_OR_RETURN(piece.bytes, FromStreamRepresentation(stream));
  JsonFields fields(stream);
  piece.close = fields.Bool("close", closes_by_default);
  RETURN_IF_ERROR(fields.status());
  return piece;
}

void ReadProcessFields(JsonFields& fields, ProcessRequest& request) {
  request.command = fields.String("command", "");
  if (request.command.empty()) fields.Fail("command", "is required");
  request.arguments = fields.Strings("args");
  request.shell = fields.Bool("shell", false);
  request.environment = fields.StringMap("env");
  for (const auto& [name, value] : request.environment) {
    if (name.empty() || absl::StrContains(name, '=')) {
      fields.Fail("env", absl::StrCat("has the name \"", name, "\", which no variable can have"));
    }
  }
  request.cwd = fields.String("cwd", "");
  if (!request.cwd.empty() && (request.cwd.front() != '/' || request.cwd.size() >= PATH_MAX)) {
    fields.Fail("cwd", "must be an absolute path");
  }
  request.uid = static_cast<uint32_t>(fields.Int("uid", 0, 0, kMaxId));
  request.gid = static_cast<uint32_t>(fields.Int("gid", 0, 0, kMaxId));
  request.truncate_output_at = fields.Int("truncate_output_at", 1 << 20, 0, kMaxTruncateAt);
  if (const nlohmann::json* stream = fields.Object("stdin"); stream != nullptr) {
    absl::StatusOr<StdinPiece> piece = ParseStdin(*stream, /*closes_by_default=*/true);
    if (piece.ok()) {
      request.stdin_bytes = std::move(piece->bytes);
      request.stdin_stays_open = !piece->close;
    } else {
      fields.Fail("stdin:", piece.status().message());
    }
  }
}

}  // namespace contree
