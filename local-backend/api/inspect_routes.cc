// GET /inspect/?tag=, /inspect/{uuid}/, /inspect/{uuid}/list and /inspect/{uuid}/download.

#include <unistd.h>

#include <cerrno>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/parameters.h"
#include "local-backend/api/routes.h"
#include "local-backend/images/image_reader.h"

namespace contree {
namespace {

using nlohmann::json;
using Names = std::map<uint32_t, std::string>;

constexpr int kUnusablePath = 422;
constexpr size_t kPieceBytes = 64 * 1024;

struct Target {
  ImageReader reader;
  std::string path;
};

absl::StatusOr<Target> OpenTarget(ApiCall& call) {
  ASSIGN_OR_RETURN(const Image image, call.services.images.Get(call.id));
  ASSIGN_OR_RETURN(ImageReader reader, ImageReader::Open(call.services.images.LayerPaths(image),
                                                         call.services.images.empty_directory()));
  std::string path = call.exchange.Query("path").value_or("/");
  return Target{std::move(reader), path.empty() ? "/" : std::move(path)};
}

Names ToMap(const std::vector<std::pair<uint32_t, std::string>>& pairs) {
  Names names;
  for (const auto& [id, name] : pairs) names.emplace(id, name);  // the first line for an id counts
  return names;
}

std::string NameOf(const Names& names, uint32_t id) {
  const auto found = names.find(id);
  return found == names.end() ? absl::StrCat(id) : found->second;
}

json ToFileItem(const FileEntry& entry, const Names& users, const Names& groups) {
  const mode_t mode = entry.info.st_mode;
  return {{"size", entry.info.st_size},
          {"path", entry.name},
          {"owner", NameOf(users, entry.info.st_uid)},
          {"group", NameOf(groups, entry.info.st_gid)},
          {"uid", entry.info.st_uid},
          {"gid", entry.info.st_gid},
          {"mode", mode},
          {"mtime", entry.info.st_mtim.tv_sec},
          {"nlink", entry.info.st_nlink},
          {"is_dir", S_ISDIR(mode)},
          {"is_regular", S_ISREG(mode)},
          {"is_symlink", S_ISLNK(mode)},
          {"is_socket", S_ISSOCK(mode)},
          {"is_fifo", S_ISFIFO(mode)},
          {"symlink_to", entry.target}};
}

char KindLetter(mode_t mode) {
  if (S_ISDIR(mode)) return 'd';
  if (S_ISLNK(mode)) return 'l';
  if (S_ISSOCK(mode)) return 's';
  if (S_ISFIFO(mode)) return 'p';
  if (S_ISCHR(mode)) return 'c';
  if (S_ISBLK(mode)) return 'b';
  return '-';
}

std::string PermissionLetters(mode_t mode) {
  std::string letters = "rwxrwxrwx";
  for (int bit = 0; bit < 9; ++bit) {
    if ((mode & (0400 >> bit)) == 0) letters[bit] = '-';
  }
  if ((mode & S_ISUID) != 0) letters[2] = letters[2] == 'x' ? 's' : 'S';
  if ((mode & S_ISGID) != 0) letters[5] = letters[5] == 'x' ? 's' : 'S';
  if ((mode & S_ISVTX) != 0) letters[8] = letters[8] == 'x' ? 't' : 'T';
  return letters;
}

std::string ToLine(const FileEntry& entry, const Names& users, const Names& groups) {
  return absl::StrFormat(
      "%c%s %3d %-8s %-8s %10d %s %s%s%s\n", KindLetter(entry.info.st_mode),
      PermissionLetters(entry.info.st_mode), entry.info.st_nlink, NameOf(users, entry.info.st_uid),
      NameOf(groups, entry.info.st_gid), entry.info.st_size,
      absl::FormatTime("%Y-%m-%d %H:%M", absl::FromUnixSeconds(entry.info.st_mtim.tv_sec),
                       absl::UTCTimeZone()),
      entry.name, entry.target.empty() ? "" : " -> ", entry.target);
}

void SendFile(int fd, HttpResponseStream& stream) {
  std::string piece(kPieceBytes, '\0');
  while (true) {
    const ssize_t got = read(fd, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0)
      LogError("cannot read a file of an image",
               {{"error", absl::ErrnoToStatus(errno, "").ToString()}});
    if (got <= 0 || !stream.Write(absl::string_view(piece.data(), static_cast<size_t>(got))))
      return;
  }
}

}  // namespace

void InspectTag(ApiCall& call) {
  const std::string tag = call.exchange.Query("tag").value_or("");
  if (tag.empty()) return AnswerError(call.exchange, 400, "tag is required");
  const absl::StatusOr<Image> image = call.services.images.Resolve(absl::StrCat("tag:", tag));
  if (!image.ok()) return AnswerError(call.exchange, image.status());
  // Old clients ask without the slash and do not follow.
  if (!call.trailing_slash) return AnswerJson(call.exchange, 200, ToJson(*image));
  call.exchange.SetHeader("Location", absl::StrCat(image->uuid, "/"));
  call.exchange.Respond(302);
}

void InspectImage(ApiCall& call) {
  const absl::StatusOr<Image> image = call.services.images.Get(call.id);
  if (!image.ok()) return AnswerError(call.exchange, image.status());
  AnswerJson(call.exchange, 200, ToJson(*image));
}

void InspectList(ApiCall& call) {
  const absl::StatusOr<bool> as_text = FlagParameter(call.exchange, "text");
  if (!as_text.ok()) return AnswerError(call.exchange, as_text.status());
  const absl::StatusOr<Target> target = OpenTarget(call);
  if (!target.ok()) return AnswerError(call.exchange, target.status(), 500);
  const absl::StatusOr<std::vector<FileEntry>> entries = target->reader.List(target->path);
  if (!entries.ok()) return AnswerError(call.exchange, entries.status(), kUnusablePath);
  const Names users = ToMap(target->reader.UserNames());
  const Names groups = ToMap(target->reader.GroupNames());
  if (*as_text) {
    std::string text;
    for (const FileEntry& entry : *entries) text += ToLine(entry, users, groups);
    return call.exchange.Respond(200, "text/plain", std::move(text));
  }
  json files = json::array();
  for (const FileEntry& entry : *entries) files.push_back(ToFileItem(entry, users, groups));
  AnswerJson(call.exchange, 200, {{"path", target->path}, {"files", files}});
}

void InspectDownload(ApiCall& call) {
  if (call.exchange.Query("path").value_or("").empty()) {
    return AnswerError(call.exchange, 400, "path is required");
  }
  const absl::StatusOr<Target> target = OpenTarget(call);
  if (!target.ok()) return AnswerError(call.exchange, target.status(), 500);
  absl::StatusOr<UniqueFd> file = target->reader.OpenFile(target->path);
  if (!file.ok()) return AnswerError(call.exchange, file.status(), kUnusablePath);
  struct stat info;
  if (fstat(file->get(), &info) != 0)
    return AnswerError(call.exchange, absl::ErrnoToStatus(errno, "fstat"));
  constexpr char kBytes[] = "application/octet-stream";
  if (call.exchange.method() == "HEAD") {
    call.exchange.SetHeader("Content-Type", kBytes);
    call.exchange.SetHeader("Content-Length", absl::StrCat(info.st_size));
    return call.exchange.Respond(200);
  }
  // The open file keeps the image's mount alive.
  call.exchange.RespondStream(200, kBytes, [file = *std::move(file)](HttpResponseStream& stream) {
    SendFile(file.get(), stream);
  });
}

}  // namespace contree
