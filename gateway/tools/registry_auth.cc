// registry_auth: credentials for an OCI registry, tried and stored.

#include "absl/strings/str_cat.h"
#include "common/secret/secret_string.h"
#include "common/status/status_macros.h"
#include "gateway/tools/registry_service.h"
#include "gateway/tools/tool.h"
#include "gateway/tools/unary_call.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using Stub = auth::v1::RegistryAuthService::StubInterface;

constexpr char kDescription[] =
    R"(Store credentials for an OCI registry, for later calls of import_image. Free. They are tried at the registry first; what it refuses is not stored. They are kept encrypted, replace older ones of the same registry, are never shown again, and go to that registry only. Get the token from the user, who makes it at the page that registry_token_obtain names.)";

constexpr char kInputSchema[] = R"({
  "type": "object",
  "required": ["registry_url", "username", "token"],
  "properties": {
    "registry_url": {"type": "string", "minLength": 1, "maxLength": 4096, "description": "The registry, such as ghcr.io, or the reference of an image in it."},
    "username": {"type": "string", "maxLength": 1024, "description": "User name at the registry."},
    "token": {"type": "string", "minLength": 1, "maxLength": 65536, "description": "Access token or password."}
  }
})";

constexpr char kOutputSchema[] = R"({
  "type": "object",
  "required": ["status", "registry", "message"],
  "properties": {
    "status": {"type": "string", "description": "success"},
    "registry": {"type": "string", "description": "The registry that they are for, in its canonical form."},
    "message": {"type": "string"}
  }
})";

absl::StatusOr<ToolOutput> HandleRegistryAuth(const json& arguments, RequestContext& context,
                                              const Services& services) {
  ASSIGN_OR_RETURN(Stub* const registries, RegistryService(services));
  auth::v1::StoreCredentialsRequest request;
  request.set_registry_url(arguments.at("registry_url").get<std::string>());
  request.set_username(arguments.at("username").get<std::string>());
  request.set_token(arguments.at("token").get<std::string>());
  const absl::StatusOr<auth::v1::StoreCredentialsResponse> stored =
      CallUnary(*registries, &Stub::StoreCredentials, request, context.call);
  Wipe(*request.mutable_token());
  RETURN_IF_ERROR(stored.status());
  ToolOutput output;
  output.structured["status"] = "success";
  output.structured["registry"] = stored->registry();
  output.structured["message"] = absl::StrCat(
      stored->registry(), " accepted the credentials; import_image uses them from now on. They go ",
      stored->realm().empty()
          ? "to this registry only."
          : absl::StrCat("to it and its token server ", stored->realm(), " only."));
  return output;
}

}  // namespace

Tool RegistryAuthTool() {
  return {
      .name = "registry_auth",
      .title = "Store registry credentials",
      // It replaces what was stored for the registry.
      .annotations = {.read_only = false,
                      .destructive = true,
                      .idempotent = true,
                      .open_world = true},
      .description = kDescription,
      .input_schema = kInputSchema,
      .output_schema = kOutputSchema,
      .handler = HandleRegistryAuth,
  };
}

}  // namespace contree::gateway
