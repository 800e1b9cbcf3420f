// What of the API is about files: those inside images and those that were uploaded for runs.

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "contree-service/api/contree_api.h"
#include "contree-service/api/image_json.h"
#include "contree-service/api/json_fields.h"

namespace contree {
namespace {

using json_fields::Json;

// The platform's own default, said so that it does not matter if that changes.
constexpr int kMaxGrepMatches = 1000;

std::string FileName(absl::string_view uuid, absl::string_view path) {
  return absl::StrCat(path, " in image ", uuid);
}

v1::StoredFile StoredFileFromJson(const Json& json) {
  v1::StoredFile file;
  file.set_uuid(json_fields::String(json, "uuid"));
  file.set_sha256(json_fields::String(json, "sha256"));
  file.set_size(json_fields::Int(json, "size"));
  return file;
}

}  // namespace

absl::StatusOr<std::vector<v1::FileEntry>> ContreeApi::ListDirectory(
    absl::string_view uuid, absl::string_view path, const CallContext& context) const {
  const ApiRequest request = {.what = FileName(uuid, path),
                              .target = absl::StrCat("/v1/inspect/", PercentEncode(uuid),
                                                     "/list?path=", PercentEncode(path))};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  return EntriesFromJson(response.body, path, request.what);
}

absl::StatusOr<std::string> ContreeApi::ListDirectoryAsText(absl::string_view uuid,
                                                            absl::string_view path,
                                                            const CallContext& context) const {
  ASSIGN_OR_RETURN(
      HttpResponse response,
      transport_->Call({.what = FileName(uuid, path),
                        .target = absl::StrCat("/v1/inspect/", PercentEncode(uuid),
                                               "/list?path=", PercentEncode(path), "&text=1")},
                       context));
  return std::move(response.body);
}

absl::StatusOr<bool> ContreeApi::Exists(const std::string& what, const std::string& target,
                                        const CallContext& context) const {
  const absl::Status status =
      transport_->Call({.what = what, .method = "HEAD", .target = target}, context).status();
  if (absl::IsNotFound(status)) return false;
  RETURN_IF_ERROR(status);
  return true;
}

absl::StatusOr<bool> ContreeApi::CanDownload(absl::string_view uuid, absl::string_view path,
                                             const CallContext& context) const {
  return Exists(
      FileName(uuid, path),
      absl::StrCat("/v1/inspect/", PercentEncode(uuid), "/download?path=", PercentEncode(path)),
      context);
}

absl::StatusOr<bool> ContreeApi::CanArchive(absl::string_view uuid, absl::string_view path,
                                            const CallContext& context) const {
  return Exists(
      FileName(uuid, path),
      absl::StrCat("/v1/inspect/", PercentEncode(uuid), "/archive?path=", PercentEncode(path)),
      context);
}

absl::Status ContreeApi::DownloadFile(
    absl::string_view uuid, absl::string_view path, const CallContext& context,
    const std::function<absl::Status(absl::string_view)>& sink) const {
  return transport_->Download({.what = FileName(uuid, path),
                               .target = absl::StrCat("/v1/inspect/", PercentEncode(uuid),
                                                      "/download?path=", PercentEncode(path))},
                              context, sink);
}

absl::Status ContreeApi::DownloadArchive(
    absl::string_view uuid, absl::string_view path, const CallContext& context,
    const std::function<absl::Status(absl::string_view)>& sink) const {
  return transport_->Download({.what = absl::StrCat("the archive of ", FileName(uuid, path)),
                               .target = absl::StrCat("/v1/inspect/", PercentEncode(uuid),
                                                      "/archive?path=", PercentEncode(path))},
                              context, sink);
}

absl::StatusOr<v1::GrepResponse> ContreeApi::Grep(absl::string_view uuid,
                                                  const v1::GrepRequest& request,
                                                  const CallContext& context) const {
  std::string query;
  const auto add = [&query](absl::string_view name, absl::string_view value) {
    absl::StrAppend(&query, query.empty() ? "?" : "&", name, "=", PercentEncode(value));
  };
  for (const std::string& pattern : request.patterns()) add("pattern", pattern);
  for (const std::string& path : request.paths()) add("path", path);
  // What the platform searches by itself is not documented.
  if (request.paths().empty()) add("path", "/");
  for (const std::string& glob : request.globs()) add("glob", glob);
  if (request.max_count() > 0) add("max_count", absl::StrCat(request.max_count()));
  add("max_total", absl::StrCat(request.max_total() > 0 ? request.max_total() : kMaxGrepMatches));
  if (request.case_() == v1::GREP_CASE_INSENSITIVE) add("case", "insensitive");
  if (request.case_() == v1::GREP_CASE_SMART) add("case", "smart");
  const ApiRequest sent = {
      .what = absl::StrCat("searching image ", uuid),
      .target = absl::StrCat("/v1/inspect/", PercentEncode(uuid), "/grep", query)};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(sent, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, sent.what));
  v1::GrepResponse found;
  found.set_path(json_fields::String(json, "path"));
  for (const Json& pattern : json_fields::Member(json, "patterns")) {
    if (pattern.is_string()) found.add_patterns(pattern.get<std::string>());
  }
  for (const Json& match : json_fields::Member(json, "matches")) {
    v1::GrepMatch& line = *found.add_matches();
    line.set_path(json_fields::String(match, "path"));
    line.set_line_number(json_fields::Int(match, "line_number"));
    line.set_line_text(json_fields::String(match, "line_text"));
    line.set_is_context(json_fields::String(match, "type") == "context");
  }
  found.set_truncated(json_fields::Bool(json, "truncated"));
  return found;
}

absl::StatusOr<std::vector<UploadedFile>> ContreeApi::ListUploads(
    int limit, int offset, absl::string_view since, absl::string_view until,
    const CallContext& context) const {
  std::string query;
  const auto add = [&query](absl::string_view name, absl::string_view value) {
    if (value.empty() || value == "0") return;
    absl::StrAppend(&query, query.empty() ? "?" : "&", name, "=", PercentEncode(value));
  };
  add("limit", absl::StrCat(limit));
  add("offset", absl::StrCat(offset));
  add("since", since);
  add("until", until);
  const ApiRequest request = {.what = "the list of uploaded files",
                              .target = absl::StrCat("/v1/files", query)};
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Call(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, request.what));
  std::vector<UploadedFile> files;
  for (const Json& file : json_fields::Member(json, "files")) {
    files.push_back(
        {.file = StoredFileFromJson(file), .created_at = json_fields::String(file, "created_at")});
  }
  return files;
}

absl::StatusOr<bool> ContreeApi::HasFile(absl::string_view sha256,
                                         const CallContext& context) const {
  return Exists(absl::StrCat("the file with SHA-256 ", sha256),
                absl::StrCat("/v1/files/", PercentEncode(sha256)), context);
}

absl::StatusOr<std::optional<v1::StoredFile>> ContreeApi::FindFile(
    absl::string_view sha256, const CallContext& context) const {
  const ApiRequest request = {.what = absl::StrCat("the file with SHA-256 ", sha256),
                              .target = absl::StrCat("/v1/files/", PercentEncode(sha256))};
  const auto response = transport_->Call(request, context);
  if (absl::IsNotFound(response.status())) return std::nullopt;
  if (!response.ok()) return response.status();
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response->body, request.what));
  return StoredFileFromJson(json);
}

absl::StatusOr<v1::StoredFile> ContreeApi::UploadFile(
    std::optional<size_t> size, const std::function<absl::StatusOr<std::string>()>& next_piece,
    const CallContext& context) const {
  ApiRequest request = {.what = "uploading a file", .method = "POST", .target = "/v1/files"};
  request.content_type = "application/octet-stream";
  request.next_body_piece = next_piece;
  request.body_size = size;
  ASSIGN_OR_RETURN(const HttpResponse response, transport_->Send(request, context));
  ASSIGN_OR_RETURN(const Json json, json_fields::Parse(response.body, request.what));
  v1::StoredFile file = StoredFileFromJson(json);
  if (file.uuid().empty()) {
    return absl::UnavailableError(
        "uploading a file: the platform's answer names no file; upload it again");
  }
  return file;
}

}  // namespace contree
