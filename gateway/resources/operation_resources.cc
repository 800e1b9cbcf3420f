// contree://operations/instance/{operation_id} and contree://operations/import/{operation_id}: one
// operation as it is now. Both can be watched.

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "gateway/resources/operation_watch.h"
#include "gateway/resources/resource.h"
#include "gateway/tools/operation_error.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using contree::v1::Operation;
using contree::v1::OperationKind;
using Stub = contree::v1::ContreeService::StubInterface;

// A final record never changes.
constexpr absl::Duration kFinalTtl = absl::Hours(24);

absl::StatusOr<Operation> GetOperation(const std::string& id, OperationKind kind,
                                       const RequestContext& context, const Services& services) {
  contree::v1::GetOperationRequest request;
  request.set_operation_id(id);
  absl::StatusOr<contree::v1::GetOperationResponse> response =
      CallUnary(*services.contree, &Stub::GetOperation, request, context.call);
  if (!response.ok()) return NameOperation(response.status(), id);
  Operation& operation = *response->mutable_operation();
  if (operation.kind() != kind) {
    return absl::InvalidArgumentError(absl::StrCat(
        "operation ", id, " is of the kind ", KindName(operation.kind()),
        ": read contree://operations/",
        operation.kind() == contree::v1::OPERATION_KIND_IMAGE_IMPORT ? "import/" : "instance/",
        id));
  }
  return std::move(operation);
}

ResourceContent Content(const Operation& operation, std::string mime_type, std::string text) {
  return {.mime_type = std::move(mime_type),
          .data = std::move(text),
          .cache = CacheHints{.ttl = IsFinal(operation.state()) ? kFinalTtl : absl::ZeroDuration(),
                              .scope = CacheScope::kPrivate}};
}

absl::StatusOr<ResourceContent> ReadInstance(const ResourceRequest& request,
                                             RequestContext& context, const Services& services) {
  ASSIGN_OR_RETURN(const Operation operation,
                   GetOperation(request.parameters.at("operation_id"),
                                contree::v1::OPERATION_KIND_INSTANCE, context, services));
  return Content(operation, "application/json",
                 OperationJson(operation).dump(2, ' ', /*ensure_ascii=*/false,
                                               nlohmann::ordered_json::error_handler_t::replace));
}

absl::StatusOr<ResourceContent> ReadImport(const ResourceRequest& request, RequestContext& context,
                                           const Services& services) {
  ASSIGN_OR_RETURN(const Operation operation,
                   GetOperation(request.parameters.at("operation_id"),
                                contree::v1::OPERATION_KIND_IMAGE_IMPORT, context, services));
  std::string text;
  const auto add = [&text](absl::string_view name, absl::string_view value) {
    if (!value.empty()) absl::StrAppend(&text, name, ": ", value, "\n");
  };
  add("STATE", StateName(operation.state()));
  add("RESULT_IMAGE", operation.result_image());
  add("RESULT_TAG", operation.result_tag());
  add("REGISTRY_URL", operation.import().registry_url());
  add("ERROR", operation.error());
  return Content(operation, "text/plain", std::move(text));
}

absl::StatusOr<std::unique_ptr<ResourceWatch>> Watch(const ResourceRequest& request,
                                                     const CallContext& context,
                                                     const Services& services,
                                                     ResourceChanged on_change) {
  return WatchOperationResource(*services.contree, request.parameters.at("operation_id"), context,
                                std::move(on_change));
}

}  // namespace

ResourceTemplate InstanceOperationTemplate() {
  return {
      .uri_template = "contree://operations/instance/{operation_id}",
      .name = "instance_operation",
      .title = "A run",
      .description =
          "A command's operation as it is now, with its output once it has ended, as "
          "JSON. Subscribe to be told when it changes.",
      .mime_type = "application/json",
      .handler = ReadInstance,
      .watch = Watch,
  };
}

ResourceTemplate ImportOperationTemplate() {
  return {
      .uri_template = "contree://operations/import/{operation_id}",
      .name = "import_operation",
      .title = "An import",
      .description =
          "An image import as it is now: its state, the image and tag it made, the "
          "registry it reads from, its error; one to a line. Subscribe to be told when "
          "it changes.",
      .mime_type = "text/plain",
      .handler = ReadImport,
      .watch = Watch,
  };
}

}  // namespace contree::gateway
