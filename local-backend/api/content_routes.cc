// GET /inspect/{uuid}/download, archive and grep; HEAD of the first two.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/byte_range.h"
#include "local-backend/api/inspect_target.h"
#include "local-backend/api/parameters.h"
#include "local-backend/api/routes.h"
#include "local-backend/images/image_archive.h"
#include "local-backend/images/image_search.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr char kBytes[] = "application/octet-stream";
constexpr char kTar[] = "application/x-tar";
constexpr size_t kPieceBytes = 64 * 1024;
constexpr absl::Duration kSearchTime = absl::Seconds(20);
constexpr int kMaxContext = 1000;
constexpr size_t kMaxPatterns = 1000;
constexpr int kMaxMatches = 100'000;

void SendFile(int fd, ByteRange range, HttpResponseStream& stream) {
  std::string piece(kPieceBytes, '\0');
  while (range.length > 0) {
    const auto wanted = static_cast<size_t>(std::min<int64_t>(range.length, kPieceBytes));
    const ssize_t got = pread(fd, piece.data(), wanted, range.first);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      LogError("cannot read a file of an image",
               {{"error", absl::ErrnoToStatus(errno, "").ToString()}});
    if (got <= 0 || !stream.Write(absl::string_view(piece.data(), static_cast<size_t>(got))))
      return;
    range.first += got;
    range.length -= got;
  }
}

absl::StatusOr<SearchQuery> Query(const HttpExchange& exchange) {
  SearchQuery query;
  query.patterns = exchange.QueryAll("pattern");
  query.paths = exchange.QueryAll("path");
  query.globs = exchange.QueryAll("glob");
  if (query.patterns.empty()) return absl::InvalidArgumentError("pattern is required");
  if (query.patterns.size() > kMaxPatterns || query.paths.size() > kMaxPatterns ||
      query.globs.size() > kMaxPatterns) {
    return absl::InvalidArgumentError(
        absl::StrCat("there may be at most ", kMaxPatterns, " of pattern, path and glob each"));
  }
  if (query.paths.empty()) query.paths = {"/"};
  for (std::string& path : query.paths) {
    if (path.empty()) path = "/";
  }
  ASSIGN_OR_RETURN(query.max_count, IntParameter(exchange, "max_count", 0, 0, kMaxMatches));
  ASSIGN_OR_RETURN(query.max_total, IntParameter(exchange, "max_total", 1000, 1, kMaxMatches));
  ASSIGN_OR_RETURN(query.before, IntParameter(exchange, "before", 0, 0, kMaxContext));
  ASSIGN_OR_RETURN(query.after, IntParameter(exchange, "after", 0, 0, kMaxContext));
  const std::string letters = exchange.Query("case").value_or("");
  if (letters == "insensitive") {
    query.letters = SearchCase::kInsensitive;
  } else if (letters == "smart") {
    query.letters = SearchCase::kSmart;
  } else if (!letters.empty() && letters != "sensitive") {
    return absl::InvalidArgumentError("case must be sensitive, insensitive or smart");
  }
  query.deadline = absl::Now() + kSearchTime;
  return query;
}

json ToJson(const SearchLine& line) {
  json submatches = json::array();
  for (const SearchSubmatch& part : line.submatches) {
    submatches.push_back({{"text", part.text}, {"start", part.start}, {"end", part.end}});
  }
  return {{"path", line.path},
          {"line_number", line.line_number},
          {"absolute_offset", line.absolute_offset},
          {"line_text", line.text},
          {"line_bytes", absl::Base64Escape(line.text)},
          {"submatches", std::move(submatches)},
          {"type", line.is_context ? "context" : "match"}};
}

}  // namespace

void InspectDownload(ApiCall& call) {
  HttpExchange& exchange = call.exchange;
  if (exchange.Query("path").value_or("").empty()) {
    return AnswerError(exchange, 400, "path is required");
  }
  const absl::StatusOr<InspectTarget> target = OpenInspectTarget(call);
  if (!target.ok()) return AnswerError(exchange, target.status(), 500);
  absl::StatusOr<UniqueFd> file = target->reader->OpenFile(target->path);
  if (!file.ok()) return AnswerError(exchange, file.status(), kUnusablePath);
  struct stat info;
  if (fstat(file->get(), &info) != 0)
    return AnswerError(exchange, absl::ErrnoToStatus(errno, "fstat"));
  const auto range = ParseByteRange(exchange.Header("Range").value_or(""), info.st_size);
  exchange.SetHeader("Accept-Ranges", "bytes");
  if (!range.ok()) {
    exchange.SetHeader("Content-Range", absl::StrCat("bytes */", info.st_size));
    return AnswerError(exchange, 416, range.status().message());
  }
  const ByteRange part = range->value_or(ByteRange{.first = 0, .length = info.st_size});
  int status = 200;
  if (range->has_value()) {
    status = 206;
    exchange.SetHeader(
        "Content-Range",
        absl::StrCat("bytes ", part.first, "-", part.first + part.length - 1, "/", info.st_size));
  }
  if (exchange.method() == "HEAD") {
    exchange.SetHeader("Content-Type", kBytes);
    exchange.SetHeader("Content-Length", absl::StrCat(part.length));
    return exchange.Respond(status);
  }
  // The open file keeps the image's mount alive.
  exchange.RespondStream(status, kBytes,
                         [file = *std::move(file), part](HttpResponseStream& stream) {
                           SendFile(file.get(), part, stream);
                         });
}

void InspectArchive(ApiCall& call) {
  absl::StatusOr<InspectTarget> target = OpenInspectTarget(call);
  if (!target.ok()) return AnswerError(call.exchange, target.status(), 500);
  const absl::StatusOr<UniqueFd> place = target->reader->OpenPath(target->path);
  if (!place.ok()) return AnswerError(call.exchange, place.status(), kUnusablePath);
  if (call.exchange.method() == "HEAD") {
    call.exchange.SetHeader("Content-Type", kTar);
    return call.exchange.Respond(200);
  }
  call.exchange.RespondStream(
      200, kTar, [target = *std::move(target), uuid = call.id](HttpResponseStream& stream) {
        const absl::Status written =
            WriteArchive(*target.reader, target.path,
                         [&stream](absl::string_view bytes) { return stream.Write(bytes); });
        if (!written.ok() && !absl::IsCancelled(written)) {
          LogError("an archive ended early", {{"image", uuid}, {"error", written.ToString()}});
        }
      });
}

void InspectGrep(ApiCall& call) {
  const absl::StatusOr<SearchQuery> query = Query(call.exchange);
  if (!query.ok()) return AnswerError(call.exchange, query.status());
  const absl::StatusOr<InspectTarget> target = OpenInspectTarget(call);
  if (!target.ok()) return AnswerError(call.exchange, target.status(), 500);
  const absl::StatusOr<SearchResult> found = SearchImage(*target->reader, *query);
  if (!found.ok()) return AnswerError(call.exchange, found.status(), kUnusablePath);
  json matches = json::array();
  for (const SearchLine& line : found->lines) matches.push_back(ToJson(line));
  AnswerJson(call.exchange, 200,
             {{"path", query->paths.front()},
              {"patterns", query->patterns},
              {"matches", std::move(matches)},
              {"truncated", found->truncated}});
}

}  // namespace contree
