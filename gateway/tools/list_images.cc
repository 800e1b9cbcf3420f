// list_images: one page of the images.

#include <utility>

#include "common/status/status_macros.h"
#include "gateway/tools/image_json.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(List images, newest first. Free. Always look here before preparing an image: what you need may exist already, under a tag such as common/python-ml/python:3.11-slim (the convention is {scope}/{purpose}/{base}:{tag}). tag_prefix narrows the list to one purpose. A full page means that there may be more: ask again with a larger offset.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "properties": {
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100, "description": "Page size."},
    "offset": {"type": "integer", "minimum": 0, "maximum": 2147483647, "default": 0, "description": "How many to skip."},
    "tagged": {"type": "boolean", "default": false, "description": "true: only images with a tag."},
    "tag_prefix": {"type": "string", "description": "Only images whose tag begins so."},
    "since": {"type": "string", "description": "Only what was made after: an ISO 8601 time, or an age such as 15m, 2h, 3d, 1w."},
    "until": {"type": "string", "description": "Only what was made before, in the same form."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["images"],
  "properties": {
    "images": {
      "type": "array",
      "items": {
        "type": "object",
        "required": ["uuid"],
        "properties": {
          "uuid": {"type": "string", "description": "Names exactly this file system for ever."},
          "tag": {"type": "string", "description": "Name that points at it now; absent: none."},
          "created_at": {"type": "string", "description": "RFC 3339, UTC."},
          "operation_id": {"type": "string", "description": "The operation that made it, where known."}
        }
      }
    }
  }
})";

absl::StatusOr<ToolOutput> HandleListImages(const json& arguments, RequestContext& context,
                                            const Services& services) {
  contree::v1::ListImagesRequest request;
  request.set_limit(arguments.at("limit").get<int32_t>());
  request.set_offset(arguments.at("offset").get<int32_t>());
  request.set_tagged(arguments.at("tagged").get<bool>());
  request.set_tag_prefix(arguments.value("tag_prefix", ""));
  request.set_since(arguments.value("since", ""));
  request.set_until(arguments.value("until", ""));
  ASSIGN_OR_RETURN(const contree::v1::ListImagesResponse response,
                   CallUnary(*services.contree, &Stub::ListImages, request, context.call));
  ToolOutput output;
  auto& images = output.structured["images"] = nlohmann::ordered_json::array();
  for (const contree::v1::Image& image : response.images()) images.push_back(ImageJson(image));
  return output;
}

}  // namespace

Tool ListImagesTool() {
  return {
      .name = "list_images",
      .title = "List images",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleListImages,
  };
}

}  // namespace contree::gateway
