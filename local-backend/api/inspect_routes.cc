// GET /inspect/?tag=, /inspect/{uuid}/ and /inspect/{uuid}/list.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/text/json_text.h"
#include "local-backend/api/answers.h"
#include "local-backend/api/inspect_target.h"
#include "local-backend/api/parameters.h"
#include "local-backend/api/routes.h"
#include "local-backend/images/image_reader.h"

namespace contree {
namespace {

using Names = ImageReader::Names;

std::string NameOf(const Names& names, uint32_t id) {
  const auto found = names.find(id);
  return found == names.end() ? absl::StrCat(id) : found->second;
}

// As text at once: directories may hold many thousands.
void AppendFileItem(const FileEntry& entry, const Names& users, const Names& groups,
                    std::string* json) {
  const struct stat& info = entry.info;
  const auto flag = [&info](mode_t kind) {
    return (info.st_mode & S_IFMT) == kind ? "true" : "false";
  };
  absl::StrAppend(json, "{\"path\":");
  AppendJsonString(entry.name, json);
  absl::StrAppend(json, ",\"size\":", info.st_size, ",\"mode\":", info.st_mode,
                  ",\"mtime\":", info.st_mtim.tv_sec, ",\"nlink\":", info.st_nlink,
                  ",\"uid\":", info.st_uid, ",\"gid\":", info.st_gid, ",\"owner\":");
  AppendJsonString(NameOf(users, info.st_uid), json);
  absl::StrAppend(json, ",\"group\":");
  AppendJsonString(NameOf(groups, info.st_gid), json);
  absl::StrAppend(json, ",\"is_dir\":", flag(S_IFDIR), ",\"is_regular\":", flag(S_IFREG),
                  ",\"is_symlink\":", flag(S_IFLNK), ",\"is_socket\":", flag(S_IFSOCK),
                  ",\"is_fifo\":", flag(S_IFIFO), ",\"symlink_to\":");
  AppendJsonString(entry.target, json);
  *json += '}';
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

}  // namespace

void InspectTag(ApiCall& call) {
  const std::string tag = call.exchange.Query("tag").value_or("");
  if (tag.empty()) return AnswerError(call.exchange, 400, "tag is required");
  const absl::StatusOr<Image> image =
      call.services.images.Resolve(absl::StrCat("tag:", tag), call.project);
  if (!image.ok()) return AnswerError(call.exchange, image.status());
  // Old clients ask without the slash and do not follow.
  if (!call.trailing_slash) return AnswerJson(call.exchange, 200, ToJson(*image));
  call.exchange.SetHeader("Location", absl::StrCat(image->uuid, "/"));
  call.exchange.Respond(302);
}

void InspectImage(ApiCall& call) {
  const absl::StatusOr<Image> image = call.services.images.Get(call.id, call.project);
  if (!image.ok()) return AnswerError(call.exchange, image.status());
  AnswerJson(call.exchange, 200, ToJson(*image));
}

void InspectList(ApiCall& call) {
  const absl::StatusOr<bool> as_text = FlagParameter(call.exchange, "text");
  if (!as_text.ok()) return AnswerError(call.exchange, as_text.status());
  const absl::StatusOr<InspectTarget> target = OpenInspectTarget(call);
  if (!target.ok()) return AnswerError(call.exchange, target.status(), 500);
  const absl::StatusOr<std::vector<FileEntry>> entries = target->reader->List(target->path);
  if (!entries.ok()) return AnswerError(call.exchange, entries.status(), kUnusablePath);
  const Names users = target->reader->UserNames();
  const Names groups = target->reader->GroupNames();
  if (*as_text) {
    std::string text;
    for (const FileEntry& entry : *entries) text += ToLine(entry, users, groups);
    return call.exchange.Respond(200, "text/plain", std::move(text));
  }
  std::string text = absl::StrCat("{\"path\":", ToJsonString(target->path), ",\"files\":[");
  for (const FileEntry& entry : *entries) {
    if (&entry != &entries->front()) text += ',';
    AppendFileItem(entry, users, groups, &text);
  }
  text += "]}";
  AnswerJsonText(call.exchange, 200, std::move(text));
}

}  // namespace contree
