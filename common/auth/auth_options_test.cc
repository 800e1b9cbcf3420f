#include "common/auth/auth_options.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/auth/method_access.h"
#include "common/files/sha256.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "contree/auth/v1/registry_auth_service.pb.h"
#include "contree/sync/v1/sync_service.pb.h"
#include "contree/v1/contree_service.pb.h"

namespace contree {
namespace {

using testing::HasSubstr;

TEST(AuthOptionsTest, NoneIsNoAuthenticator) {
  ASSERT_OK_AND_ASSIGN(const auto none, OpenAuthenticator({}));
  EXPECT_EQ(none, nullptr);
}

TEST(AuthOptionsTest, WhatAModeLacksIsNamed) {
  const auto refused = [](const AuthOptions& options, const char* what) {
    EXPECT_THAT(OpenAuthenticator(options),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  };
  refused({.mode = "basic"}, "'basic'");
  refused({.mode = "keys"}, "--auth-keys-file");
  refused({.mode = "jwt"}, "--jwt-issuer");
  refused({.mode = "jwt", .jwt_issuer = "i"}, "--jwt-audience");
  refused({.mode = "jwt", .jwt_issuer = "i", .jwt_audience = "a"}, "--jwt-jwks");
  refused({.mode = "jwt", .jwt_issuer = "i", .jwt_audience = "a", .jwt_jwks = "http://a.example/k"},
          "https");
}

TEST(AuthOptionsTest, KeysAreOpened) {
  TempDirectory temp;
  ASSERT_OK(WritePrivateFile(temp.File("keys"), absl::StrCat(Sha256Hex("k"), " alpha p")));
  ASSERT_OK_AND_ASSIGN(const auto keys,
                       OpenAuthenticator({.mode = "keys", .keys_file = temp.File("keys")}));
  EXPECT_EQ(keys->Authenticate("k")->tenant, "alpha");
}

// Every method of every service, so that a new one is put on a side on purpose.
TEST(MethodAccessTest, EveryMethodIsOnASide) {
  const std::map<std::string, char> expected = {
      {"/contree.auth.v1.RegistryAuthService/DeleteCredentials", 'w'},
      {"/contree.auth.v1.RegistryAuthService/GetTokenPage", 'r'},
      {"/contree.auth.v1.RegistryAuthService/ListCredentials", 'r'},
      {"/contree.auth.v1.RegistryAuthService/ResolveImport", 'w'},
      {"/contree.auth.v1.RegistryAuthService/StoreCredentials", 'w'},
      {"/contree.sync.v1.SyncService/GetDirectoryState", 'r'},
      {"/contree.sync.v1.SyncService/Sync", 'w'},
      {"/contree.v1.ContreeService/CancelOperation", 'w'},
      {"/contree.v1.ContreeService/FindFiles", 'r'},
      {"/contree.v1.ContreeService/GetIdentity", 'r'},
      {"/contree.v1.ContreeService/GetImage", 'r'},
      {"/contree.v1.ContreeService/GetImageLineage", 'r'},
      {"/contree.v1.ContreeService/GetOperation", 'r'},
      {"/contree.v1.ContreeService/Grep", 'r'},
      {"/contree.v1.ContreeService/ImportImage", 'w'},
      {"/contree.v1.ContreeService/ListFiles", 'r'},
      {"/contree.v1.ContreeService/ListImageOrigins", 'r'},
      {"/contree.v1.ContreeService/ListImages", 'r'},
      {"/contree.v1.ContreeService/ListOperations", 'r'},
      {"/contree.v1.ContreeService/ReadArchive", 'r'},
      {"/contree.v1.ContreeService/ReadFile", 'r'},
      {"/contree.v1.ContreeService/RunInstance", 'w'},
      {"/contree.v1.ContreeService/SetTag", 'w'},
      {"/contree.v1.ContreeService/UploadFile", 'w'},
      {"/contree.v1.ContreeService/UploadFiles", 'w'},
      {"/contree.v1.ContreeService/WatchOperation", 'r'},
      {"/contree.v1.ContreeService/WatchOperations", 'r'},
  };
  std::map<std::string, char> found;
  for (const google::protobuf::FileDescriptor* file :
       {v1::ListImagesRequest::descriptor()->file(),
        auth::v1::GetTokenPageRequest::descriptor()->file(),
        sync::v1::SyncRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const std::string path = absl::StrCat("/", file->service(s)->full_name(), "/",
                                              file->service(s)->method(m)->name());
        found[path] = ScopeOfMethod(path) == Scope::kRead ? 'r' : 'w';
      }
    }
  }
  EXPECT_EQ(found, expected);
}

TEST(MethodAccessTest, HealthIsOpenReflectionIsNot) {
  EXPECT_EQ(ScopeOfMethod("/grpc.health.v1.Health/Check"), std::nullopt);
  EXPECT_EQ(ScopeOfMethod("/grpc.health.v1.Health/Watch"), std::nullopt);
  EXPECT_EQ(ScopeOfMethod("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
            Scope::kRead);
  EXPECT_EQ(ScopeOfMethod("/contree.v1.ContreeService/NewMethod"), Scope::kRun);
  EXPECT_EQ(ScopeOfMethod(""), Scope::kRun);
}

}  // namespace
}  // namespace contree
