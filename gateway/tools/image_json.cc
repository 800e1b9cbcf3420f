#include "gateway/tools/image_json.h"

#include "gateway/tools/operation_json.h"

namespace contree::gateway {

nlohmann::ordered_json ImageJson(const contree::v1::Image& image) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  json["uuid"] = image.uuid();
  if (!image.tag().empty()) json["tag"] = image.tag();
  if (image.has_created_at()) json["created_at"] = TimeText(image.created_at());
  if (!image.operation_id().empty()) json["operation_id"] = image.operation_id();
  return json;
}

}  // namespace contree::gateway
