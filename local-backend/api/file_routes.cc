// POST and GET /files, GET /files/{sha256}; HEAD as GET.

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/parameters.h"
#include "local-backend/api/routes.h"
#include "local-backend/files/file_store.h"
#include "local-backend/operations/event_log.h"

namespace contree {
namespace {

using nlohmann::json;

json ToJson(const StoredFile& file) {
  return {{"uuid", file.uuid},
          {"sha256", file.sha256},
          {"size", file.size},
          {"created_at", FormatApiTime(file.created_at)},
          {"updated_at", FormatApiTime(file.updated_at)}};
}

absl::StatusOr<FileFilter> Filter(const HttpExchange& exchange) {
  FileFilter filter;
  ASSIGN_OR_RETURN(const Page page, PageParameters(exchange));
  filter.limit = page.limit;
  filter.offset = page.offset;
  ASSIGN_OR_RETURN(filter.since, TimeParameter(exchange, "since", filter.since));
  ASSIGN_OR_RETURN(filter.until, TimeParameter(exchange, "until", filter.until));
  return filter;
}

void AnswerFile(ApiCall& call, const std::string& sha256) {
  if (!IsSha256Hex(sha256)) {
    return AnswerError(
        call.exchange, 404,
        absl::StrCat("there is no file ", sha256,
                     ": files are asked for by their SHA-256, 64 lower-case hexadecimal digits"));
  }
  const absl::StatusOr<StoredFile> file = call.services.files.GetBySha256(call.project, sha256);
  if (!file.ok()) return AnswerError(call.exchange, file.status());
  AnswerJson(call.exchange, 200, ToJson(*file));
}

}  // namespace

void PostFile(ApiCall& call) {
  FileStore::Upload upload = call.services.files.Begin();
  const absl::Status received = call.exchange.ReadBody(
      kMaxFileBytes, [&upload](absl::string_view bytes) { return upload.Append(bytes); });
  if (!received.ok()) return AnswerError(call.exchange, received);
  const absl::StatusOr<StoredFile> file = upload.Finish(call.project);
  if (!file.ok()) return AnswerError(call.exchange, file.status());
  AnswerJson(call.exchange, 201,
             {{"uuid", file->uuid}, {"sha256", file->sha256}, {"size", file->size}});
}

void ListFiles(ApiCall& call) {
  // Old clients ask for one file this way and expect it bare.
  if (const auto sha256 = call.exchange.Query("sha256"); sha256.has_value()) {
    return AnswerFile(call, *sha256);
  }
  const absl::StatusOr<FileFilter> filter = Filter(call.exchange);
  if (!filter.ok()) return AnswerError(call.exchange, filter.status());
  const absl::StatusOr<std::vector<StoredFile>> files =
      call.services.files.List(call.project, *filter);
  if (!files.ok()) return AnswerError(call.exchange, files.status());
  json list = json::array();
  for (const StoredFile& file : *files) list.push_back(ToJson(file));
  AnswerJson(call.exchange, 200, {{"files", list}});
}

void GetFile(ApiCall& call) { AnswerFile(call, call.id); }

}  // namespace contree
