// contree://image/{image}/read/{path}: the content of a file inside an image.

#include <utility>

#include "common/status/status_macros.h"
#include "common/text/utf8.h"
#include "gateway/resources/image_uri.h"
#include "gateway/resources/mime_type.h"
#include "gateway/resources/resource.h"
#include "gateway/tools/image_files.h"

namespace contree::gateway {
namespace {

absl::StatusOr<ResourceContent> ReadImageFileResource(const ResourceRequest& request,
                                                      RequestContext& context,
                                                      const Services& services) {
  const std::string& image = request.parameters.at("image");
  const std::string path = PathInImage(request.parameters.at("path"));
  absl::StatusOr<std::string> bytes = ReadImageFile(services, image, path, context.call);
  if (!bytes.ok()) return MistakeInUri(bytes.status());
  ResourceContent content;
  content.is_text = IsUtf8(*bytes);
  content.mime_type = std::string(MimeTypeByName(path));
  if (content.mime_type.empty()) {
    content.mime_type = content.is_text ? "text/plain" : "application/octet-stream";
  }
  content.data = *std::move(bytes);
  content.cache = ImageCacheHints(image);
  return content;
}

}  // namespace

ResourceTemplate ImageFileTemplate() {
  return {
      .uri_template = "contree://image/{image}/read/{path}",
      .name = "read_file",
      .title = "A file of an image",
      .description =
          "Content of a file inside an image, without running anything. image: a UUID or "
          "tag:NAME, with %2F for a slash. path: without the leading slash, for instance "
          "etc/passwd.",
      .mime_type = "",
      .handler = ReadImageFileResource,
  };
}

}  // namespace contree::gateway
