// auth-service over gRPC, against real registries.

#include "auth-service/auth_service.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/files/state_directory.h"
#include "common/rpc/grpc_context.h"
#include "common/server/grpc_server.h"
#include "common/status/grpc_status.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "tests/harness/test_registry.h"

namespace contree {
namespace {

using namespace auth::v1;  // NOLINT: the requests and responses
using Stub = RegistryAuthService::StubInterface;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing_harness::KeyKind;
using testing_harness::kPassword;
using testing_harness::kRefreshToken;
using testing_harness::kUser;
using testing_harness::TestRegistry;
using testing_harness::TestRegistryOptions;

// The service on a state directory, with whatever options a test wants.
class AuthServiceTest : public testing::Test {
 protected:
  void Start(AuthServiceOptions options = {}) {
    server_.reset();
    service_.reset();
    options.state_dir = state_.path();
    auto service = AuthService::Create(options);
    ASSERT_OK(service);
    service_ = *std::move(service);
    auto server = GrpcServer::Start({}, {service_->grpc_service()});
    ASSERT_OK(server);
    server_ = *std::move(server);
    stub_ = RegistryAuthService::NewStub(server_->InProcessChannel());
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    const CallContext context = NewCallContext(absl::Seconds(60));
    OutgoingCall call(context);
    Response response;
    const grpc::Status status = (*stub_.*method)(call.client_context(), request, &response);
    if (!status.ok()) return FromGrpcStatus(status);
    return response;
  }
  absl::StatusOr<StoreCredentialsResponse> Store(const std::string& registry,
                                                 const std::string& username = kUser,
                                                 const std::string& token = kPassword) {
    StoreCredentialsRequest request;
    request.set_registry_url(registry);
    request.set_username(username);
    request.set_token(token);
    return Call(&Stub::StoreCredentials, request);
  }
  absl::StatusOr<ResolveImportResponse> Resolve(const std::string& reference,
                                                bool anonymous = false) {
    ResolveImportRequest request;
    request.set_reference(reference);
    request.set_allow_anonymous(anonymous);
    return Call(&Stub::ResolveImport, request);
  }
  std::vector<std::string> List() {
    std::vector<std::string> lines;
    const auto response = Call(&Stub::ListCredentials, ListCredentialsRequest());
    EXPECT_OK(response);
    for (const StoredCredentials& entry : response->credentials()) {
      EXPECT_THAT(entry.DebugString(), Not(HasSubstr(kPassword)));
      lines.push_back(absl::StrCat(entry.registry(), " ", entry.username(), " ", entry.source()));
    }
    return lines;
  }

  const TempDirectory state_;
  std::unique_ptr<AuthService> service_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<Stub> stub_;
};

TEST_F(AuthServiceTest, ATokenRegistryIsValidatedPinnedAndAskedOnce) {
  for (const KeyKind key : {KeyKind::kRsa, KeyKind::kEllipticCurve}) {
    TestRegistry registry({.access = TestRegistryOptions::Access::kToken, .issuer = {.key = key}});
    Start();
    ASSERT_OK_AND_ASSIGN(const StoreCredentialsResponse stored,
                         Store("http://" + registry.host() + "/"));
    EXPECT_EQ(stored.registry(), registry.host());
    EXPECT_EQ(stored.realm(), registry.issuer().realm());
    ASSERT_OK_AND_ASSIGN(const ResolveImportResponse resolved,
                         Resolve(registry.host() + "/team/box"));
    EXPECT_EQ(resolved.normalized_url(),
              absl::StrCat("docker://", registry.host(), "/team/box:latest"));
    EXPECT_EQ(resolved.username(), kUser);
    EXPECT_EQ(resolved.password(), kPassword);
    EXPECT_EQ(resolved.realm(), registry.issuer().realm());
    const std::vector<std::string> requests = registry.issuer().requests();
    EXPECT_EQ(requests.back(), "POST password alice repository:team/box:pull");
    ASSERT_OK(Resolve(registry.host() + "/team/box:2"));
    EXPECT_EQ(registry.issuer().requests().size(), requests.size()) << "a token was there";
    ASSERT_OK(Resolve(registry.host() + "/team/other"));
    EXPECT_EQ(registry.issuer().requests().size(), requests.size() + 1);
  }
}

TEST_F(AuthServiceTest, FlowsFallBackAsRegistriesNeedThem) {
  for (const int post_status : {400, 401, 404, 405}) {
    TestRegistry registry({.access = TestRegistryOptions::Access::kToken,
                           .issuer = {.post_status = post_status, .says_access_token = true}});
    Start();
    ASSERT_OK(Store(registry.host()));
    const std::vector<std::string> requests = registry.issuer().requests();
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_EQ(requests[0], "POST password alice");
    EXPECT_EQ(requests[1], "GET alice");
    ASSERT_OK(Resolve(registry.host() + "/x"));
    EXPECT_EQ(registry.issuer().requests().back(), "GET alice repository:x:pull");
    EXPECT_EQ(registry.issuer().requests().size(), 3u) << "POST is not tried again";
  }
  TestRegistry registry(
      {.access = TestRegistryOptions::Access::kToken, .issuer = {.busy_answers = 2}});
  ASSERT_OK(Store(registry.host(), "<token>", kRefreshToken));
  EXPECT_EQ(registry.issuer().requests().size(), 3u) << "429 is waited for";
  ASSERT_OK_AND_ASSIGN(const auto resolved, Resolve(registry.host() + "/x"));
  EXPECT_EQ(resolved.username(), "<token>");
  EXPECT_EQ(resolved.password(), kRefreshToken);
}

TEST_F(AuthServiceTest, WrongCredentialsAreNotStored) {
  TestRegistry token({.access = TestRegistryOptions::Access::kToken});
  TestRegistry password({.access = TestRegistryOptions::Access::kPassword});
  Start();
  for (TestRegistry* registry : {&token, &password}) {
    EXPECT_THAT(Store(registry->host(), kUser, "hunter2"),
                StatusIs(absl::StatusCode::kPermissionDenied,
                         AllOf(HasSubstr("credentials"), Not(HasSubstr("hunter2")))));
  }
  EXPECT_THAT(Store(password.host(), "a:b", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("username")));
  EXPECT_THAT(Store(password.host(), "a", ""),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("token is empty")));
  TestRegistry open;
  EXPECT_THAT(Store(open.host()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("asks nobody")));
  EXPECT_TRUE(List().empty());
}

TEST_F(AuthServiceTest, PasswordsWorkListedAndForgotten) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword});
  Start();
  ASSERT_OK_AND_ASSIGN(const auto stored,
                       Store(registry.host(), kUser, absl::StrCat(kPassword, "\n")));
  EXPECT_EQ(stored.realm(), "");
  EXPECT_EQ(List(), std::vector<std::string>{registry.host() + " alice stored"});
  ASSERT_OK_AND_ASSIGN(const auto resolved, Resolve(registry.host() + "/x:1"));
  EXPECT_EQ(resolved.password(), kPassword);
  Start();  // after a restart
  ASSERT_OK(Resolve(registry.host() + "/x:1"));
  DeleteCredentialsRequest request;
  request.set_registry_url(registry.host());
  ASSERT_OK_AND_ASSIGN(const auto deleted, Call(&Stub::DeleteCredentials, request));
  EXPECT_TRUE(deleted.deleted());
  ASSERT_OK_AND_ASSIGN(const auto again, Call(&Stub::DeleteCredentials, request));
  EXPECT_FALSE(again.deleted());
  EXPECT_THAT(Resolve(registry.host() + "/x:1"), StatusIs(absl::StatusCode::kNotFound, testing::_));
}

TEST_F(AuthServiceTest, TlsVerifiesAgainstTheAuthorityThatWasGiven) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword, .tls = true});
  Start();
  EXPECT_THAT(Store(registry.host()),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("certificate")))
      << "an unknown authority is no reason to do without TLS";
  Start({.network = {.ca_file = registry.ca_file()}});
  ASSERT_OK(Store(registry.host()));
  ASSERT_OK(Resolve(registry.host() + "/x"));
}

TEST_F(AuthServiceTest, WithoutCredentialsOneMustAcceptIt) {
  Start();
  EXPECT_THAT(Resolve("alpine"),
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("no credentials for docker.io"),
                             HasSubstr("i_accept_that_anonymous_access_might_be_rate_limited"))));
  ASSERT_OK_AND_ASSIGN(const auto resolved, Resolve("alpine", /*anonymous=*/true));
  EXPECT_EQ(resolved.normalized_url(), "docker://docker.io/library/alpine:latest");
  EXPECT_EQ(resolved.username(), "");
  EXPECT_EQ(resolved.password(), "");
  EXPECT_THAT(Resolve("Not A Reference", true),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

TEST_F(AuthServiceTest, DockersOwnCredentialsAreReadNotCopied) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword});
  const std::string config = state_.File("config.json");
  ASSERT_OK(WritePrivateFile(
      config, absl::StrCat(R"({"auths": {")", registry.host(),
                           R"(": {"username": "alice", "password": ")", kPassword, R"("}}})")));
  Start({.foreign = {.docker_config = config}});
  ASSERT_OK_AND_ASSIGN(const auto resolved, Resolve(registry.host() + "/x"));
  EXPECT_EQ(resolved.password(), kPassword);
  EXPECT_EQ(List(), std::vector<std::string>{absl::StrCat(registry.host(), " alice ", config)});
  ASSERT_OK(WritePrivateFile(config, "{}"));
  EXPECT_THAT(Resolve(registry.host() + "/x"), StatusIs(absl::StatusCode::kNotFound, testing::_));
}

TEST_F(AuthServiceTest, ForeignCredentialsGoToNoOtherHostsTokenServer) {
  // The issuer is on 127.0.0.1; the registry is asked as localhost: another host.
  TestRegistry registry({.access = TestRegistryOptions::Access::kToken});
  const std::string host =
      absl::StrCat("localhost", registry.host().substr(registry.host().find(':')));
  const std::string config = state_.File("config.json");
  ASSERT_OK(WritePrivateFile(
      config, absl::StrCat(R"({"auths": {")", host, R"(": {"username": "alice", "password": ")",
                           kPassword, R"("}}})")));
  Start({.foreign = {.docker_config = config}});
  EXPECT_THAT(Resolve(host + "/x"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("was not confirmed")));
  EXPECT_TRUE(registry.issuer().requests().empty());
  ASSERT_OK(Store(host));  // confirms it
  ASSERT_OK(Resolve(host + "/x"));
}

TEST_F(AuthServiceTest, AKeyIsRotatedAndTheOldOneForgotten) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword});
  Start();
  ASSERT_OK(Store(registry.host()));
  ASSERT_OK_AND_ASSIGN(const std::string before, ReadFile(state_.File("auth.key"), 4096));
  Start({.rotate_key = true});
  ASSERT_OK_AND_ASSIGN(const std::string after, ReadFile(state_.File("auth.key"), 4096));
  EXPECT_EQ(after.size(), before.size());
  EXPECT_NE(after, before);
  ASSERT_OK(Resolve(registry.host() + "/x"));
  Start();
  ASSERT_OK(Resolve(registry.host() + "/x"));
  // A key that comes from elsewhere is not ours to change.
  EXPECT_THAT(
      AuthService::Create(
          {.state_dir = state_.path(), .key_file = state_.File("auth.key"), .rotate_key = true}),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not ours to change")));
}

TEST_F(AuthServiceTest, AKeyFileFromElsewhereIsOnlyRead) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword});
  const std::string key_file = state_.File("mounted-key");
  ASSERT_OK(
      WritePrivateFile(key_file, absl::StrCat(absl::Base64Escape(std::string(32, 'k')), "\n")));
  ASSERT_EQ(chmod(key_file.c_str(), 0444), 0);  // as Kubernetes mounts a Secret
  Start({.key_file = key_file});
  ASSERT_OK(Store(registry.host()));
  ASSERT_OK(Resolve(registry.host() + "/x"));
  EXPECT_THAT(ReadFile(state_.File("auth.key"), 4096),
              StatusIs(absl::StatusCode::kNotFound, testing::_));
  EXPECT_THAT(AuthService::Create({.state_dir = state_.path(), .key_file = state_.File("missing")}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("missing")));
}

TEST_F(AuthServiceTest, APullSecretIsUsedWhereNothingIsStored) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword});
  ASSERT_OK(WritePrivateFile(
      state_.File(".dockerconfigjson"),
      absl::StrCat(R"({"auths": {")", registry.host(), R"(": {"auth": ")",
                   absl::Base64Escape(absl::StrCat(kUser, ":", kPassword)), R"("}}})")));
  Start({.foreign = {.pull_secrets = {state_.path()}}});
  ASSERT_OK_AND_ASSIGN(const auto resolved, Resolve(registry.host() + "/x"));
  EXPECT_EQ(resolved.username(), kUser);
  EXPECT_EQ(resolved.password(), kPassword);
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(ProcessMemoryTest, IsKeptOutOfCoreDumpsAndFromDebuggers) {
  // In a child: this process stays one that can be debugged.
  EXPECT_EXIT(
      {
        ProtectProcessMemory();
        _exit(prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}
#endif

TEST_F(AuthServiceTest, TokenPagesAreForRegistriesAndReferences) {
  Start();
  GetTokenPageRequest request;
  request.set_registry_url("docker://ghcr.io/x/y:1");
  ASSERT_OK_AND_ASSIGN(const auto page, Call(&Stub::GetTokenPage, request));
  EXPECT_EQ(page.registry(), "ghcr.io");
  EXPECT_THAT(page.url(), HasSubstr("github.com/settings/tokens"));
  request.set_registry_url("not a registry");
  EXPECT_THAT(Call(&Stub::GetTokenPage, request),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

}  // namespace
}  // namespace contree
