// contree://image/{image}/lineage: where an image came from and what was made of it.

#include <nlohmann/json.hpp>

#include "common/status/status_macros.h"
#include "gateway/resources/resource.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using contree::v1::ImageLineage;
using nlohmann::ordered_json;
using Stub = contree::v1::ContreeService::StubInterface;

ordered_json LineageJson(const ImageLineage& lineage) {
  ordered_json json = ordered_json::object();
  json["image"] = lineage.image();
  if (lineage.has_parent()) {
    const ImageLineage::Origin& parent = lineage.parent();
    ordered_json& shown = json["parent"] = ordered_json::object();
    shown["image"] = parent.image();
    if (!parent.command().empty()) shown["command"] = parent.command();
    shown["exit_code"] = parent.exit_code();
    if (!parent.operation_id().empty()) shown["operation_id"] = parent.operation_id();
  }
  ordered_json& children = json["children"] = ordered_json::array();
  for (const std::string& child : lineage.children()) children.push_back(child);
  ordered_json& ancestors = json["ancestors"] = ordered_json::array();
  for (const std::string& ancestor : lineage.ancestors()) ancestors.push_back(ancestor);
  if (lineage.has_root()) {
    ordered_json& root = json["root"] = ordered_json::object();
    root["image"] = lineage.root().image();
    if (!lineage.root().registry_url().empty()) {
      root["registry_url"] = lineage.root().registry_url();
    }
    root["is_import"] = lineage.root().is_import();
  }
  json["depth"] = lineage.depth();
  json["is_known"] = lineage.is_known();
  return json;
}

absl::StatusOr<ResourceContent> ReadLineage(const ResourceRequest& request, RequestContext& context,
                                            const Services& services) {
  contree::v1::GetImageLineageRequest lineage_request;
  lineage_request.set_image(request.parameters.at("image"));
  ASSIGN_OR_RETURN(
      const contree::v1::GetImageLineageResponse response,
      CallUnary(*services.contree, &Stub::GetImageLineage, lineage_request, context.call));
  return ResourceContent{
      .mime_type = "application/json",
      .data = LineageJson(response.lineage())
                  .dump(2, ' ', /*ensure_ascii=*/false, ordered_json::error_handler_t::replace)};
}

}  // namespace

ResourceTemplate ImageLineageTemplate() {
  return {
      .uri_template = "contree://image/{image}/lineage",
      .name = "image_lineage",
      .title = "Where an image came from",
      .description =
          "Parent of an image with the command that made it, direct children, all "
          "ancestors up to the root, and where the root was imported from. Use it to "
          "find the image to go back to. image: a UUID or tag:NAME, with %2F for a slash.",
      .mime_type = "application/json",
      .handler = ReadLineage,
  };
}

}  // namespace contree::gateway
