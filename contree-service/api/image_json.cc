#include "contree-service/api/image_json.h"

#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "contree-service/api/json_fields.h"
#include "contree-service/api/proto_time.h"

namespace contree {
namespace {

using json_fields::Bool;
using json_fields::Int;
using json_fields::Json;
using json_fields::Member;
using json_fields::String;

// The document, its `files`, one of them.
constexpr int kEntryDepth = 2;

// An owner comes as a name or as a number.
std::string NameOrNumber(const Json& json, const char* name, int64_t number) {
  const Json& value = Member(json, name);
  if (value.is_string() && !value.get_ref<const std::string&>().empty())
    return value.get<std::string>();
  return absl::StrCat(value.is_number_integer() ? value.get<int64_t>() : number);
}

v1::FileType TypeFromJson(const Json& json) {
  if (Bool(json, "is_symlink")) return v1::FILE_TYPE_SYMLINK;
  if (Bool(json, "is_dir")) return v1::FILE_TYPE_DIRECTORY;
  if (Bool(json, "is_regular")) return v1::FILE_TYPE_REGULAR;
  if (Bool(json, "is_socket")) return v1::FILE_TYPE_SOCKET;
  if (Bool(json, "is_fifo")) return v1::FILE_TYPE_FIFO;
  return v1::FILE_TYPE_UNSPECIFIED;
}

v1::FileEntry EntryFromJson(const Json& json, absl::string_view directory) {
  v1::FileEntry entry;
  // The bare name; tolerate a path.
  const std::string path = String(json, "path");
  entry.set_name(path.substr(path.rfind('/') + 1));
  entry.set_path(absl::StrCat(directory, absl::EndsWith(directory, "/") ? "" : "/", entry.name()));
  entry.set_type(TypeFromJson(json));
  entry.set_size(Int(json, "size"));
  entry.set_mode(static_cast<uint32_t>(Int(json, "mode")) & 07777);
  entry.set_uid(static_cast<uint32_t>(Int(json, "uid")));
  entry.set_gid(static_cast<uint32_t>(Int(json, "gid")));
  SetTime(absl::FromUnixSeconds(Int(json, "mtime")), entry.mutable_mtime());
  entry.set_symlink_target(String(json, "symlink_to"));
  entry.set_owner(NameOrNumber(json, "owner", entry.uid()));
  entry.set_group(NameOrNumber(json, "group", entry.gid()));
  return entry;
}

}  // namespace

v1::Image ImageFromJson(const Json& json) {
  v1::Image image;
  image.set_uuid(String(json, "uuid"));
  image.set_tag(String(json, "tag"));
  image.set_operation_id(String(json, "operation_uuid"));
  if (const absl::Time created = json_fields::Time(json, "created_at");
      created != absl::InfinitePast()) {
    SetTime(created, image.mutable_created_at());
  }
  return image;
}

absl::StatusOr<std::vector<v1::FileEntry>> EntriesFromJson(absl::string_view text,
                                                           absl::string_view directory,
                                                           absl::string_view what) {
  std::vector<v1::FileEntry> entries;
  const auto take = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event != Json::parse_event_t::object_end || depth != kEntryDepth) return true;
    entries.push_back(EntryFromJson(parsed, directory));
    return false;
  };
  const Json rest = Json::parse(text.begin(), text.end(), take, /*allow_exceptions=*/false);
  if (!rest.is_object())
    return absl::UnavailableError(absl::StrCat(what, ": the platform's answer is not valid JSON"));
  std::sort(entries.begin(), entries.end(),
            [](const v1::FileEntry& a, const v1::FileEntry& b) { return a.name() < b.name(); });
  return entries;
}

}  // namespace contree
