// get_image: what an image reference names.

#include "gateway/tools/image_json.h"
#include "gateway/tools/next_step.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr char kDescription[] =
    R"(Look one image up by UUID or tag:NAME. Free. Use it to check that a tag exists, and to get the UUID behind it: a tag can be moved to another image, a UUID always names the same file system.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["image"],
  "properties": {
    "image": {"type": "string", "minLength": 1, "description": "A UUID or tag:NAME."}
  }
})";

absl::StatusOr<ToolOutput> HandleGetImage(const json& arguments, RequestContext& context,
                                          const Services& services) {
  contree::v1::GetImageRequest request;
  request.set_image(arguments.at("image").get<std::string>());
  const auto response = CallUnary(*services.contree, &Stub::GetImage, request, context.call);
  if (!response.ok()) {
    return WithNextStep(response.status(), absl::StatusCode::kNotFound,
                        "list_images shows the images");
  }
  return ToolOutput{.structured = ImageJson(response->image())};
}

}  // namespace

Tool GetImageTool() {
  return {
      .name = "get_image",
      .title = "Look up an image",
      .annotations = {.read_only = true,
                      .destructive = false,
                      .idempotent = true,
                      .open_world = false},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = std::string(kImageSchema),
      .handler = HandleGetImage,
  };
}

}  // namespace contree::gateway
