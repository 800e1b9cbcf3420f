// import_image: an image from an OCI registry.

#include <utility>

#include "absl/time/time.h"
#include "common/secret/secret_string.h"
#include "common/status/status_macros.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/registry_service.h"
#include "gateway/tools/started_operation.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using ContreeStub = contree::v1::ContreeService::StubInterface;
using AuthStub = auth::v1::RegistryAuthService::StubInterface;

constexpr char kDescription[] =
    R"(Bring an image in from an OCI registry (Docker Hub, GHCR, GitLab, Quay, any other). This costs, and large images take minutes: call list_images with a tag_prefix first, the image may be there. Only the file system is imported; the image's ENV, WORKDIR, USER and ENTRYPOINT are not.

- registry_url: docker://docker.io/library/alpine:latest; alpine, ghcr.io/owner/name:tag, localhost:5000/name and oci://… are understood too.
- tag: give one, so that the image is found again.
- Credentials are those that registry_auth stored for this registry. Where there are none, set i_accept_that_anonymous_access_might_be_rate_limited=true for a public image.
- wait=false returns operation_id at once; then wait_operations.
- Importing an image that has not changed is fast and gives the same result_image.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["registry_url"],
  "properties": {
    "registry_url": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "Reference of the image, such as docker://docker.io/library/alpine:latest."},
    "tag": {"type": "string", "description": "Tag for the result, such as alpine:latest."},
    "wait": {"type": "boolean", "default": true, "description": "false: return operation_id at once."},
    "timeout": {"type": "integer", "minimum": 1, "maximum": 3600, "default": 300, "description": "Seconds after which the import is given up."},
    "i_accept_that_anonymous_access_might_be_rate_limited": {"type": "boolean", "default": false, "description": "true: go on without credentials where none are stored."}
  }
})";

absl::StatusOr<contree::v1::ImportImageRequest> ToRequest(const json& arguments,
                                                          const Services& services,
                                                          const CallContext& call) {
  ASSIGN_OR_RETURN(AuthStub* const registries, RegistryService(services));
  auth::v1::ResolveImportRequest question;
  question.set_reference(arguments.at("registry_url").get<std::string>());
  question.set_allow_anonymous(
      arguments.at("i_accept_that_anonymous_access_might_be_rate_limited").get<bool>());
  ASSIGN_OR_RETURN(auth::v1::ResolveImportResponse source,
                   CallUnary(*registries, &AuthStub::ResolveImport, question, call));
  contree::v1::ImportImageRequest request;
  request.set_registry_url(source.normalized_url());
  if (const auto tag = arguments.find("tag"); tag != arguments.end()) {
    request.set_tag(tag->get<std::string>());
  }
  request.mutable_timeout()->set_seconds(arguments.at("timeout").get<int64_t>());
  if (!source.password().empty()) {
    contree::v1::RegistryCredentials& credentials = *request.mutable_credentials();
    credentials.set_username(std::move(*source.mutable_username()));
    credentials.set_password(std::move(*source.mutable_password()));
    credentials.set_realm(std::move(*source.mutable_realm()));
  }
  return request;
}

absl::StatusOr<ToolOutput> HandleImportImage(const json& arguments, RequestContext& context,
                                             const Services& services) {
  return StartOperation(
      arguments.at("wait").get<bool>(), absl::Seconds(arguments.at("timeout").get<int64_t>()),
      context, services, [&](const CallContext& call) -> absl::StatusOr<std::string> {
        ASSIGN_OR_RETURN(contree::v1::ImportImageRequest request,
                         ToRequest(arguments, services, call));
        absl::StatusOr<contree::v1::ImportImageResponse> response =
            CallUnary(*services.contree, &ContreeStub::ImportImage, request, call);
        if (request.has_credentials()) Wipe(*request.mutable_credentials()->mutable_password());
        RETURN_IF_ERROR(response.status());
        return std::move(*response->mutable_operation_id());
      });
}

}  // namespace

Tool ImportImageTool() {
  return {
      .name = "import_image",
      .title = "Import an image from a registry",
      // A tag that another image has moves to this one.
      .annotations = {.read_only = false,
                      .destructive = true,
                      .idempotent = true,
                      .open_world = true},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = OperationSchema(R"(["operation_id"])"),
      .may_wait = true,
      .handler = HandleImportImage,
  };
}

}  // namespace contree::gateway
