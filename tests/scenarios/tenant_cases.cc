#include "tests/scenarios/tenant_cases.h"

#include "contree/auth/v1/registry_auth_service.pb.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "contree/v1/contree_service.pb.h"
#include "sync-service/testing/scripted_walker.h"

namespace contree::testing_harness {
namespace {

using nlohmann::json;

template <typename Request>
Case Of(void (*fill)(Request& request, const Things& things)) {
  return [fill](const Things& things) {
    Request request;
    fill(request, things);
    return Requests{request.SerializeAsString()};
  };
}

}  // namespace

std::map<std::string, std::vector<Case>> RpcCases() {
  using namespace contree::v1;  // NOLINT: the names of all messages below
  const std::string contree = "/contree.v1.ContreeService/";
  const std::string auth = "/contree.auth.v1.RegistryAuthService/";
  const std::string sync = "/contree.sync.v1.SyncService/";
  std::map<std::string, std::vector<Case>> cases;
  cases[contree + "ListImages"] = {
      Of<ListImagesRequest>([](auto& r, const Things&) { r.set_limit(1000); }),
      Of<ListImagesRequest>([](auto& r, const Things& t) { r.set_tag_prefix(t.tag); })};
  cases[contree + "GetImage"] = {
      Of<GetImageRequest>([](auto& r, const Things& t) { r.set_image(t.image); }),
      Of<GetImageRequest>([](auto& r, const Things& t) { r.set_image("tag:" + t.tag); })};
  cases[contree + "SetTag"] = {Of<SetTagRequest>([](auto& r, const Things& t) {
    r.set_image(t.image);
    r.set_tag("stolen:1");
  })};
  // It names nothing of a tenant's; that credentials are not taken over, ResolveImport shows.
  cases[contree + "ImportImage"] = {
      Of<ImportImageRequest>([](auto& r, const Things&) { r.set_registry_url("no reference"); })};
  cases[contree + "GetImageLineage"] = {
      Of<GetImageLineageRequest>([](auto& r, const Things& t) { r.set_image(t.image); }),
      Of<GetImageLineageRequest>([](auto& r, const Things& t) { r.set_image("tag:" + t.tag); })};
  cases[contree + "ListImageOrigins"] = {
      Of<ListImageOriginsRequest>([](auto& r, const Things&) { r.set_limit(1000); })};
  cases[contree + "RunInstance"] = {Of<RunInstanceRequest>([](auto& r, const Things& t) {
                                      r.set_image(t.image);
                                      r.set_command("true");
                                    }),
                                    Of<RunInstanceRequest>([](auto& r, const Things& t) {
                                      r.set_image("tag:" + t.tag);
                                      r.set_command("true");
                                    }),
                                    Of<RunInstanceRequest>([](auto& r, const Things& t) {
                                      r.set_image(kBusyboxImage);
                                      r.set_command("true");
                                      (*r.mutable_files())["/stolen"].set_uuid(t.file);
                                    })};
  cases[contree + "GetOperation"] = {
      Of<GetOperationRequest>([](auto& r, const Things& t) { r.set_operation_id(t.operation); }),
      Of<GetOperationRequest>([](auto& r, const Things& t) { r.set_operation_id(t.running); })};
  cases[contree + "ListOperations"] = {
      Of<ListOperationsRequest>([](auto& r, const Things&) { r.set_limit(1000); })};
  cases[contree + "WatchOperation"] = {
      Of<WatchOperationRequest>([](auto& r, const Things& t) { r.set_operation_id(t.operation); }),
      Of<WatchOperationRequest>([](auto& r, const Things& t) { r.set_operation_id(t.running); })};
  cases[contree + "WatchOperations"] = {Of<WatchOperationsRequest>([](auto& r, const Things& t) {
    r.add_operation_ids(t.operation);
    r.add_operation_ids(t.running);
  })};
  cases[contree + "CancelOperation"] = {
      Of<CancelOperationRequest>([](auto& r, const Things& t) { r.set_operation_id(t.running); }),
      Of<CancelOperationRequest>(
          [](auto& r, const Things& t) { r.set_operation_id(t.operation); })};
  cases[contree + "ListFiles"] = {Of<ListFilesRequest>([](auto& r, const Things& t) {
                                    r.set_image(t.image);
                                    r.set_path("/");
                                  }),
                                  Of<ListFilesRequest>([](auto& r, const Things& t) {
                                    r.set_image("tag:" + t.tag);
                                    r.set_path("/");
                                  })};
  cases[contree + "ReadFile"] = {Of<ReadFileRequest>([](auto& r, const Things& t) {
    r.set_image(t.image);
    r.set_path("/secret.txt");
  })};
  cases[contree + "ReadArchive"] = {Of<ReadArchiveRequest>([](auto& r, const Things& t) {
    r.set_image(t.image);
    r.set_path("/");
  })};
  cases[contree + "Grep"] = {Of<GrepRequest>([](auto& r, const Things& t) {
    r.set_image(t.image);
    r.add_patterns("only");
    r.add_paths("/secret.txt");
  })};
  // What was uploaded is one's own: an upload that only names a content gets none.
  cases[contree + "UploadFile"] = {Of<UploadFileRequest>(
      [](auto& r, const Things& t) { r.mutable_header()->set_sha256(t.sha256); })};
  cases[contree + "UploadFiles"] = {Of<UploadFilesRequest>(
      [](auto& r, const Things& t) { r.add_contents()->set_sha256(t.sha256); })};
  cases[contree + "FindFiles"] = {
      Of<FindFilesRequest>([](auto& r, const Things& t) { r.add_sha256(t.sha256); })};
  cases[contree + "GetIdentity"] = {Of<GetIdentityRequest>([](auto&, const Things&) {})};
  cases[auth + "GetTokenPage"] = {Of<contree::auth::v1::GetTokenPageRequest>(
      [](auto& r, const Things& t) { r.set_registry_url(t.registry); })};
  cases[auth + "StoreCredentials"] = {
      Of<contree::auth::v1::StoreCredentialsRequest>([](auto& r, const Things& t) {
        r.set_registry_url(t.registry);
        r.set_username("mallory");
        r.set_token("a wrong one");
      })};
  cases[auth + "DeleteCredentials"] = {Of<contree::auth::v1::DeleteCredentialsRequest>(
      [](auto& r, const Things& t) { r.set_registry_url(t.registry); })};
  cases[auth + "ListCredentials"] = {
      Of<contree::auth::v1::ListCredentialsRequest>([](auto&, const Things&) {})};
  cases[auth + "ResolveImport"] = {
      Of<contree::auth::v1::ResolveImportRequest>([](auto& r, const Things& t) {
        r.set_reference(t.registry + "/private/image:1");
        r.set_allow_anonymous(true);
      })};
  // The digest of alpha's tree, from alpha's source: nothing is known of it here.
  cases[sync + "Sync"] = {Of<contree::sync::v1::SyncRequest>([](auto& r, const Things&) {
    ScriptedWalker of_alpha(nullptr);
    r.mutable_begin()->set_source(of_alpha.source);
    r.mutable_begin()->set_destination(of_alpha.destination);
    r.mutable_begin()->set_tree_digest(TreeDigest({{"", {{"a.txt", {.content = kSyncedText}}}}}));
  })};
  cases[sync + "GetDirectoryState"] = {
      Of<contree::sync::v1::GetDirectoryStateRequest>(
          [](auto& r, const Things& t) { r.set_directory_state_id(t.state); }),
      Of<contree::sync::v1::GetDirectoryStateRequest>([](auto& r, const Things& t) {
        r.set_directory_state_id(t.state);
        r.set_verify(true);
      })};
  return cases;
}

std::map<std::string, std::vector<json>> ToolCases(const Things& t) {
  const std::string tag = "tag:" + t.tag;
  return {
      {"run",
       {{{"command", "cat /secret.txt"}, {"image", t.image}},
        {{"command", "cat /secret.txt"}, {"image", tag}},
        {{"command", "cat /stolen"}, {"image", kBusyboxImage}, {"files", {{"/stolen", t.file}}}},
        {{"command", "true"}, {"image", kBusyboxImage}, {"directory_state_id", t.state}}}},
      {"import_image", {{{"registry_url", t.registry + "/private/image:1"}}}},
      {"list_images", {{{"limit", 1000}}, {{"tag_prefix", t.tag}}}},
      {"get_image", {{{"image", t.image}}, {{"image", tag}}}},
      {"set_tag", {{{"image_uuid", t.image}, {"tag", "stolen:1"}}}},
      {"list_files", {{{"image", t.image}}, {{"image", tag}}}},
      {"read_file", {{{"image", t.image}, {"path", "/secret.txt"}}}},
      {"grep", {{{"image", t.image}, {"pattern", "only"}}}},
      // The gateway has no files of its own.
      {"rsync", {{{"source", "/etc"}, {"destination", "/work"}}}},
      {"upload", {{{"path", "/etc/passwd"}}}},
      {"download", {{{"image", t.image}, {"path", "/secret.txt"}, {"destination", "/tmp/x"}}}},
      {"list_operations", {{{"limit", 1000}}}},
      {"get_operation", {{{"operation_id", t.operation}}, {{"operation_id", t.running}}}},
      {"wait_operations", {{{"operation_ids", {t.operation, t.running}}, {"timeout", 5}}}},
      {"cancel_operation", {{{"operation_id", t.running}}, {{"operation_id", t.operation}}}},
      {"registry_token_obtain", {{{"registry_url", t.registry}}}},
      {"registry_auth",
       {{{"registry_url", t.registry}, {"username", "mallory"}, {"token", "a wrong one"}}}},
      {"whoami", {json::object()}},
      {"get_guide", {json::object()}},
  };
}

}  // namespace contree::testing_harness
