// Who may call a GrpcServer, and over what connections.

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/auth/authenticator.h"
#include "common/files/state_directory.h"
#include "common/limits/tenant_limits.h"
#include "common/rpc/grpc_context.h"
#include "common/rpc/service_channel.h"
#include "common/server/grpc_server.h"
#include "common/server/transport_security.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/clock.h"
#include "contree/auth/v1/registry_auth_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/harness/certificates.h"

namespace contree {
namespace {

using auth::v1::RegistryAuthService;
using testing::HasSubstr;
using testing_harness::Certificate;
using testing_harness::KeyKind;
using testing_harness::MakeAuthority;
using testing_harness::MakeServerCertificate;

// Tokens by heart.
class KnownTokens final : public Authenticator {
 public:
  absl::StatusOr<Identity> Authenticate(absl::string_view token) override {
    if (token == "alpha-token") return Identity{"alpha", "ann", kAllScopes};
    if (token == "beta-token") return Identity{"beta", "bob", kAllScopes};
    if (token == "reader") return Identity{"alpha", "dashboard", {.read = true}};
    return NotAuthenticated();
  }
};

// Says who it was called by.
class MirrorService final : public RegistryAuthService::Service {
 public:
  grpc::Status GetTokenPage(grpc::ServerContext* context, const auth::v1::GetTokenPageRequest*,
                            auth::v1::GetTokenPageResponse* response) override {
    const CallContext call = IncomingCall(*context);
    response->set_registry(absl::StrCat(call.tenant, " ", call.principal, " ", call.bearer_token));
    return grpc::Status::OK;
  }
  grpc::Status DeleteCredentials(grpc::ServerContext*, const auth::v1::DeleteCredentialsRequest*,
                                 auth::v1::DeleteCredentialsResponse*) override {
    ++deletions;
    return grpc::Status::OK;
  }
  std::atomic<int> deletions = 0;
};

struct Reply {
  grpc::StatusCode code;
  std::string text;
  friend bool operator==(const Reply&, const Reply&) = default;
};
std::ostream& operator<<(std::ostream& out, const Reply& reply) {
  return out << reply.code << " " << reply.text;
}

std::unique_ptr<grpc::ClientContext> NewContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(60)));
  return context;
}

Reply WhoAmI(const std::shared_ptr<grpc::Channel>& channel,
             const std::vector<std::pair<std::string, std::string>>& metadata) {
  const auto context = NewContext();
  for (const auto& [key, value] : metadata) context->AddMetadata(key, value);
  auth::v1::GetTokenPageResponse response;
  const grpc::Status status =
      RegistryAuthService::NewStub(channel)->GetTokenPage(context.get(), {}, &response);
  return {status.error_code(), status.ok() ? response.registry() : status.error_message()};
}

Reply WithToken(const std::shared_ptr<grpc::Channel>& channel, const std::string& token) {
  return WhoAmI(channel, {{"authorization", "Bearer " + token}});
}

grpc::StatusCode Delete(const std::shared_ptr<grpc::Channel>& channel, const std::string& token) {
  const auto context = NewContext();
  context->AddMetadata("authorization", "Bearer " + token);
  auth::v1::DeleteCredentialsResponse response;
  return RegistryAuthService::NewStub(channel)
      ->DeleteCredentials(context.get(), {}, &response)
      .error_code();
}

grpc::StatusCode Health(const std::shared_ptr<grpc::Channel>& channel,
                        bool wait_for_ready = false) {
  const auto context = NewContext();
  context->set_wait_for_ready(wait_for_ready);
  grpc::health::v1::HealthCheckResponse response;
  return grpc::health::v1::Health::NewStub(channel)
      ->Check(context.get(), {}, &response)
      .error_code();
}

class GrpcSecurityTest : public testing::Test {
 protected:
  std::unique_ptr<GrpcServer> Serve(GrpcServerOptions options, bool with_tokens = true) {
    if (with_tokens) options.authenticator = std::make_shared<KnownTokens>();
    auto server = GrpcServer::Start(options, {&service_});
    EXPECT_OK(server);
    return server.ok() ? *std::move(server) : nullptr;
  }
  std::string Write(const std::string& name, const std::string& text) {
    EXPECT_OK(WritePrivateFile(temp_.File(name), text));
    return temp_.File(name);
  }
  TlsFiles WriteCertificate(const std::string& name, const Certificate& certificate) {
    return {.certificate = Write(name + ".pem", certificate.certificate_pem),
            .key = Write(name + ".key", certificate.key_pem),
            .authority = ""};
  }

  TempDirectory temp_;
  MirrorService service_;
};

const Reply kNobody = {grpc::StatusCode::UNAUTHENTICATED, "a valid bearer token is required"};

TEST_F(GrpcSecurityTest, WithoutAValidTokenThereIsOneAnswer) {
  const auto server = Serve({.listen = "127.0.0.1:0"});
  const auto channel = ChannelTo(server->address());
  EXPECT_EQ(WhoAmI(channel, {}), kNobody);
  EXPECT_EQ(WithToken(channel, "wrong"), kNobody);
  EXPECT_EQ(WithToken(channel, ""), kNobody);
  EXPECT_EQ(WhoAmI(channel, {{"authorization", "Basic alpha-token"}}), kNobody);
  // Who would read which of the two?
  EXPECT_EQ(WhoAmI(channel, {{"authorization", "Bearer alpha-token"},
                             {"authorization", "Bearer beta-token"}}),
            kNobody);
  EXPECT_EQ(Health(channel), grpc::StatusCode::OK);
}

TEST_F(GrpcSecurityTest, CallsOfOneConnectionAreTheirOwnCallers) {
  const auto server = Serve({.listen = "127.0.0.1:0"});
  const auto channel = ChannelTo(server->address());
  const Reply ann = {grpc::StatusCode::OK, "alpha ann alpha-token"};
  const Reply bob = {grpc::StatusCode::OK, "beta bob beta-token"};
  EXPECT_EQ(WithToken(channel, "alpha-token"), ann);
  EXPECT_EQ(WithToken(channel, "beta-token"), bob);
  EXPECT_EQ(WhoAmI(channel, {}), kNobody);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        if (t % 2 == 0) {
          EXPECT_EQ(WithToken(channel, "alpha-token"), ann);
        } else {
          EXPECT_EQ(WithToken(channel, "beta-token"), bob);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(GrpcSecurityTest, NobodyNamesTheirTenantThemselves) {
  for (const bool with_tokens : {true, false}) {
    const auto server = Serve({.listen = "127.0.0.1:0"}, with_tokens);
    std::vector<std::pair<std::string, std::string>> metadata = {
        {"tenant", "beta"}, {"contree-tenant", "beta"}, {"x-tenant-id", "beta"}};
    if (with_tokens) metadata.emplace_back("authorization", "bearer alpha-token");
    EXPECT_EQ(WhoAmI(ChannelTo(server->address()), metadata).text,
              with_tokens ? "alpha ann alpha-token" : "local  ");
  }
}

TEST_F(GrpcSecurityTest, AScopeThatIsMissingIsNamed) {
  const auto server = Serve({.listen = "127.0.0.1:0"});
  const auto channel = ChannelTo(server->address());
  EXPECT_EQ(WithToken(channel, "reader").text, "alpha dashboard reader");
  EXPECT_EQ(Delete(channel, "reader"), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(service_.deletions, 0);
  EXPECT_EQ(Delete(channel, "alpha-token"), grpc::StatusCode::OK);
  EXPECT_EQ(service_.deletions, 1);
}

TEST_F(GrpcSecurityTest, BeyondATenantsRequestsCallsAreRefused) {
  RealClock clock;
  const auto limits = std::make_shared<TenantLimits>(&clock);
  // So seldom that none comes back while the test runs.
  ASSERT_OK(limits->Load(R"({"tenants": {"alpha": {"requests_per_second": 0.001}}})"));
  const auto server = Serve({.listen = "127.0.0.1:0", .limits = limits});
  const auto channel = ChannelTo(server->address());
  EXPECT_EQ(WithToken(channel, "alpha-token").text, "alpha ann alpha-token");
  const Reply refused = WithToken(channel, "alpha-token");
  EXPECT_EQ(refused.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.text, testing::HasSubstr("try again in"));
  EXPECT_EQ(WithToken(channel, "beta-token").code, grpc::StatusCode::OK);
  EXPECT_EQ(WithToken(channel, "wrong"), kNobody);
}

TEST_F(GrpcSecurityTest, AServerThatLooksAtNoTokensTakesNone) {
  const auto server = Serve({.listen = "127.0.0.1:0"}, /*with_tokens=*/false);
  const auto channel = ChannelTo(server->address());
  EXPECT_EQ(WhoAmI(channel, {}), (Reply{grpc::StatusCode::OK, "local  "}));
  const Reply refused = WithToken(channel, "alpha-token");
  EXPECT_EQ(refused.code, grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(refused.text, HasSubstr("--auth=keys"));
}

// No guard stands before an in-process channel: then nobody is anybody without a token.
TEST_F(GrpcSecurityTest, InProcessCallersWithoutATokenAreNobody) {
  const auto server = Serve({});
  EXPECT_EQ(WithToken(server->InProcessChannel(), "alpha-token").text, "alpha ann alpha-token");
  EXPECT_NE(WhoAmI(server->InProcessChannel(), {}).code, grpc::StatusCode::OK);
}

TEST_F(GrpcSecurityTest, ASocketIsServedToItsOwnerAndGroup) {
  const std::string address = "unix:" + temp_.File("grpc.sock");
  for (int round = 0; round < 2; ++round) {  // the second finds what the first left
    const auto server = Serve({.listen = address});
    EXPECT_EQ(server->address(), address);
    struct stat info = {};
    ASSERT_EQ(stat(temp_.File("grpc.sock").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0660u);
    EXPECT_EQ(WithToken(ChannelTo(address), "beta-token").text, "beta bob beta-token");
    EXPECT_EQ(WhoAmI(ChannelTo(address), {}), kNobody);
    EXPECT_THAT(GrpcServer::Start({.listen = address}, {&service_}),
                StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another program")));
  }
  EXPECT_THAT(GrpcServer::Start({.listen = "unix:" + temp_.File("absent/s")}, {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  EXPECT_THAT(GrpcServer::Start({.listen = "unix:relative"}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("absolute")));
  ASSERT_OK(WritePrivateFile(temp_.File("file"), ""));
  EXPECT_THAT(GrpcServer::Start({.listen = "unix:" + temp_.File("file")}, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no socket")));
}

TEST_F(GrpcSecurityTest, BeyondThisMachineItTakesTokensAndTls) {
  const TlsFiles tls =
      WriteCertificate("s", MakeServerCertificate(MakeAuthority(KeyKind::kEllipticCurve)));
  const auto tokens = std::make_shared<KnownTokens>();
  EXPECT_THAT(GrpcServer::Start({.listen = "0.0.0.0:0", .authenticator = tokens}, {&service_}),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("--tls-cert")));
  EXPECT_THAT(GrpcServer::Start({.listen = "0.0.0.0:0", .tls = tls}, {&service_}),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("--auth")));
  EXPECT_OK(
      GrpcServer::Start({.listen = "0.0.0.0:0", .authenticator = tokens, .tls = tls}, {&service_}));
}

TEST_F(GrpcSecurityTest, WithTlsOnlyItsAuthorityIsTrusted) {
  const Certificate authority = MakeAuthority(KeyKind::kEllipticCurve);
  const auto server = Serve(
      {.listen = "127.0.0.1:0", .tls = WriteCertificate("s", MakeServerCertificate(authority))});
  const TlsFiles trusted = {.authority = Write("ca.pem", authority.certificate_pem)};
  ASSERT_OK_AND_ASSIGN(const auto channel, ChannelTo(server->address(), trusted));
  EXPECT_EQ(WithToken(channel, "beta-token").text, "beta bob beta-token");
  EXPECT_EQ(WhoAmI(channel, {}), kNobody);
  EXPECT_EQ(Health(ChannelTo(server->address())), grpc::StatusCode::UNAVAILABLE);
  const TlsFiles other = {
      .authority = Write("other.pem", MakeAuthority(KeyKind::kEllipticCurve).certificate_pem)};
  ASSERT_OK_AND_ASSIGN(const auto distrusting, ChannelTo(server->address(), other));
  EXPECT_EQ(Health(distrusting), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(GrpcSecurityTest, ClientsWithoutACertificateStayOutWhereOneIsAskedFor) {
  const Certificate authority = MakeAuthority(KeyKind::kEllipticCurve);
  const std::string ca = Write("ca.pem", authority.certificate_pem);
  TlsFiles own = WriteCertificate("s", MakeServerCertificate(authority));
  own.authority = ca;
  const auto server = Serve({.listen = "127.0.0.1:0", .tls = own});
  ASSERT_OK_AND_ASSIGN(const auto anonymous, ChannelTo(server->address(), {.authority = ca}));
  EXPECT_EQ(Health(anonymous), grpc::StatusCode::UNAVAILABLE);
  const Certificate strange = MakeAuthority(KeyKind::kEllipticCurve);
  TlsFiles stranger = WriteCertificate("x", MakeServerCertificate(strange));
  stranger.authority = ca;
  ASSERT_OK_AND_ASSIGN(const auto foreign, ChannelTo(server->address(), stranger));
  EXPECT_EQ(Health(foreign), grpc::StatusCode::UNAVAILABLE);
  TlsFiles client = WriteCertificate("c", MakeServerCertificate(authority));
  client.authority = ca;
  ASSERT_OK_AND_ASSIGN(const auto channel, ChannelTo(server->address(), client));
  EXPECT_EQ(WithToken(channel, "alpha-token").text, "alpha ann alpha-token");
}

TEST_F(GrpcSecurityTest, ANewCertificateIsServedWithoutARestart) {
  const Certificate old_authority = MakeAuthority(KeyKind::kEllipticCurve);
  const Certificate new_authority = MakeAuthority(KeyKind::kEllipticCurve);
  const auto server = Serve({.listen = "127.0.0.1:0",
                             .tls = WriteCertificate("s", MakeServerCertificate(old_authority))});
  const TlsFiles trusted = {.authority = Write("new.pem", new_authority.certificate_pem)};
  ASSERT_OK_AND_ASSIGN(const auto before, ChannelTo(server->address(), trusted));
  EXPECT_EQ(Health(before), grpc::StatusCode::UNAVAILABLE);
  WriteCertificate("s", MakeServerCertificate(new_authority));
  // Files are looked at every other second, and a call waits a little longer than that.
  const absl::Time end = absl::Now() + absl::Seconds(30);
  grpc::StatusCode health = Health(before, /*wait_for_ready=*/true);
  while (health != grpc::StatusCode::OK && absl::Now() < end)
    health = Health(before, /*wait_for_ready=*/true);
  EXPECT_EQ(health, grpc::StatusCode::OK);
}

TEST_F(GrpcSecurityTest, FilesThatMakeNoCertificateAreNamed) {
  const Certificate one = MakeServerCertificate(MakeAuthority(KeyKind::kEllipticCurve));
  const Certificate two = MakeServerCertificate(MakeAuthority(KeyKind::kEllipticCurve));
  const std::string certificate = Write("one.pem", one.certificate_pem);
  const std::string key = Write("two.key", two.key_pem);
  const std::string rubbish = Write("rubbish", "secret rubbish");
  for (const TlsFiles& files :
       {TlsFiles{.certificate = certificate}, TlsFiles{.certificate = certificate, .key = key},
        TlsFiles{.certificate = rubbish, .key = key},
        TlsFiles{.certificate = certificate, .key = rubbish},
        TlsFiles{.certificate = temp_.File("absent"), .key = key},
        TlsFiles{.authority = rubbish}}) {
    EXPECT_THAT(
        GrpcServer::Start({.listen = "127.0.0.1:0", .tls = files}, {&service_}),
        StatusIs(absl::StatusCode::kInvalidArgument, testing::Not(HasSubstr("secret rubbish"))));
  }
}

// "Auth adds under 50 µs to a call": what guard and telling add to calls in a row.
TEST_F(GrpcSecurityTest, AuthenticationAddsMicroseconds) {
  const auto with = Serve({.listen = "127.0.0.1:0"});
  const auto without = Serve({.listen = "127.0.0.1:0"}, /*with_tokens=*/false);
  const auto plain_stub = RegistryAuthService::NewStub(ChannelTo(without->address()));
  const auto stub = RegistryAuthService::NewStub(ChannelTo(with->address()));
  const auto measure = [](RegistryAuthService::Stub& to, bool has_token) {
    constexpr int kCalls = 100;
    const absl::Time begin = absl::Now();
    for (int i = 0; i < kCalls; ++i) {
      grpc::ClientContext context;
      if (has_token) context.AddMetadata("authorization", "Bearer alpha-token");
      auth::v1::GetTokenPageResponse response;
      EXPECT_TRUE(to.GetTokenPage(&context, {}, &response).ok());
    }
    return (absl::Now() - begin) / kCalls;
  };
  // In turns, the best of each: other programs run too.
  absl::Duration plain = absl::InfiniteDuration();
  absl::Duration authenticated = absl::InfiniteDuration();
  for (int round = 0; round < 20 || (round < 200 && authenticated - plain > absl::Microseconds(50));
       ++round) {
    plain = std::min(plain, measure(*plain_stub, false));
    authenticated = std::min(authenticated, measure(*stub, true));
  }
  std::cout << "a call: " << plain << " without, " << authenticated << " with authentication\n";
  EXPECT_LT(authenticated - plain, absl::Microseconds(50));
}

}  // namespace
}  // namespace contree
