// list_files: the entries of a directory inside an image.

#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/status/status_macros.h"
#include "gateway/tools/image_files.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr char kDescription[] =
    R"(List a directory inside an image. Free: nothing is started, so prefer it to run with ls. Shows what a run with disposable=false left behind.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["image"],
  "properties": {
    "image": {"type": "string", "minLength": 1, "description": "A UUID or tag:NAME."},
    "path": {"type": "string", "default": "/", "description": "Absolute directory inside the image."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["path", "count", "files"],
  "properties": {
    "path": {"type": "string"},
    "count": {"type": "integer"},
    "files": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["name", "path", "type", "size", "mode", "uid", "gid"],
        "properties": {
          "name": {"type": "string"},
          "path": {"type": "string"},
          "type": {"type": "string", "description": "file, directory, symlink, socket, fifo or other."},
          "size": {"type": "integer", "description": "Bytes."},
          "mode": {"type": "string", "description": "Permission bits in octal, such as 0644."},
          "uid": {"type": "integer"},
          "gid": {"type": "integer"},
          "mtime": {"type": "string", "description": "RFC 3339, UTC."},
          "target": {"type": "string", "description": "What a symbolic link points at."}
        }
      }
    }
  }
})";

const char* TypeName(contree::v1::FileType type) {
  switch (type) {
    case contree::v1::FILE_TYPE_REGULAR:
      return "file";
    case contree::v1::FILE_TYPE_DIRECTORY:
      return "directory";
    case contree::v1::FILE_TYPE_SYMLINK:
      return "symlink";
    case contree::v1::FILE_TYPE_SOCKET:
      return "socket";
    case contree::v1::FILE_TYPE_FIFO:
      return "fifo";
    default:
      return "other";
  }
}

ordered_json EntryJson(const contree::v1::FileEntry& entry) {
  ordered_json json = ordered_json::object();
  json["name"] = entry.name();
  json["path"] = entry.path();
  json["type"] = TypeName(entry.type());
  json["size"] = entry.size();
  json["mode"] = absl::StrFormat("%04o", entry.mode());
  json["uid"] = entry.uid();
  json["gid"] = entry.gid();
  if (entry.has_mtime()) json["mtime"] = TimeText(entry.mtime());
  if (!entry.symlink_target().empty()) json["target"] = entry.symlink_target();
  return json;
}

absl::StatusOr<ToolOutput> HandleListFiles(const json& arguments, RequestContext& context,
                                           const Services& services) {
  const std::string path = arguments.at("path").get<std::string>();
  ASSIGN_OR_RETURN(
      const std::vector<contree::v1::FileEntry> entries,
      ListImageDirectory(services, arguments.at("image").get<std::string>(), path, context.call));
  ordered_json files = ordered_json::array();
  for (const contree::v1::FileEntry& entry : entries) files.push_back(EntryJson(entry));
  ToolOutput output;
  output.structured["path"] = path;
  output.structured["count"] = files.size();
  output.structured["files"] = std::move(files);
  return output;
}

}  // namespace

Tool ListFilesTool() {
  return {
      .name = "list_files",
      .title = "List a directory of an image",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleListFiles,
  };
}

}  // namespace contree::gateway
