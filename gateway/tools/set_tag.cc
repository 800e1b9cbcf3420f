// set_tag: names an image.

#include "gateway/tools/image_json.h"
#include "gateway/tools/next_step.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(Give an image a tag, so that later runs and other sessions find it with list_images. Free. Tag every image that took work to prepare. Convention: {scope}/{purpose}/{base}:{tag}, where scope is common for what is of use everywhere, or the project's name; for example common/python-ml/python:3.11-slim. A tag points at one image: setting it again moves it. Without tag, the image's tag is removed; the image itself stays.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["image_uuid"],
  "properties": {
    "image_uuid": {"type": "string", "minLength": 1, "description": "The image: a UUID, such as result_image of a run, or tag:NAME."},
    "tag": {"type": "string", "description": "Lower-case letters, digits, _ - with : / . between; at most 256. Left out or empty: remove the image's tag."}
  }
})";

absl::StatusOr<ToolOutput> HandleSetTag(const json& arguments, RequestContext& context,
                                        const Services& services) {
  contree::v1::SetTagRequest request;
  request.set_image(arguments.at("image_uuid").get<std::string>());
  request.set_tag(arguments.value("tag", ""));
  const auto response = CallUnary(*services.contree, &Stub::SetTag, request, context.call);
  if (!response.ok()) {
    return WithNextStep(response.status(), absl::StatusCode::kNotFound,
                        "list_images shows the images");
  }
  return ToolOutput{.structured = ImageJson(response->image())};
}

}  // namespace

Tool SetTagTool() {
  return {
      .name = "set_tag",
      .title = "Tag an image",
      // Takes the tag from the image that had it.
      .annotations = {.read_only = false,
                      .destructive = true,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = std::string(kImageSchema),
      .handler = HandleSetTag,
  };
}

}  // namespace contree::gateway
