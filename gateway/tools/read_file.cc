// read_file: the content of a file inside an image.

#include <utility>

#include "common/status/status_macros.h"
#include "gateway/tools/image_files.h"
#include "gateway/tools/text_encoding.h"
#include "gateway/tools/tool.h"

namespace contree::gateway {
namespace {

using nlohmann::json;

constexpr char kDescription[] =
    R"(Read a file inside an image. Free: nothing is started, so prefer it to run with cat. Text comes as it is, anything else as base64 (encoding says which). Use grep to search, download to copy a file to the user's machine, and run with head, tail or sed for a part of a file larger than 10 MiB.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["image", "path"],
  "properties": {
    "image": {"type": "string", "minLength": 1, "description": "A UUID or tag:NAME."},
    "path": {"type": "string", "minLength": 1, "description": "Absolute path inside the image."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["path", "content", "encoding", "size"],
  "properties": {
    "path": {"type": "string"},
    "content": {"type": "string"},
    "encoding": {"type": "string", "enum": ["utf-8", "base64"], "description": "How content is written."},
    "size": {"type": "integer", "description": "Bytes of the file."}
  }
})";

absl::StatusOr<ToolOutput> HandleReadFile(const json& arguments, RequestContext& context,
                                          const Services& services) {
  const std::string path = arguments.at("path").get<std::string>();
  ASSIGN_OR_RETURN(
      const std::string bytes,
      ReadImageFile(services, arguments.at("image").get<std::string>(), path, context.call));
  EncodedBytes encoded = EncodeBytes(bytes);
  ToolOutput output;
  output.structured["path"] = path;
  output.structured["content"] = std::move(encoded.text);
  output.structured["encoding"] = encoded.is_base64 ? "base64" : "utf-8";
  output.structured["size"] = bytes.size();
  return output;
}

}  // namespace

Tool ReadFileTool() {
  return {
      .name = "read_file",
      .title = "Read a file of an image",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleReadFile,
  };
}

}  // namespace contree::gateway
