// RegistryClient and all below it, against servers that do what no honest registry does. The
// credential is kSecret: each attack here is one that would carry it away.

#include "common/registry/registry_client.h"

#include <atomic>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/testing/status_matchers.h"
#include "common/time/fake_clock.h"
#include "tests/harness/scripted_server.h"
#include "tests/harness/test_registry.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing_harness::BusyboxImage;
using testing_harness::kPassword;
using testing_harness::ScriptedReply;
using testing_harness::ScriptedRequest;
using testing_harness::ScriptedServer;
using testing_harness::TestRegistry;
using testing_harness::TestRegistryOptions;

constexpr char kAlice[] = "alice";
constexpr char kSecret[] = "the-secret-of-alice";
constexpr char kOtherHost[] = "127.0.0.2";  // as different from 127.0.0.1 as any host

// A resolver whose answers a test changes; what it does not know does not exist.
class FakeResolver final : public HostResolver {
 public:
  absl::StatusOr<std::vector<std::string>> Resolve(const std::string& host) override {
    absl::MutexLock lock(&mutex_);
    ++lookups_;
    const auto found = addresses_.find(host);
    if (found == addresses_.end()) return absl::UnavailableError("no such host: " + host);
    return found->second;
  }
  void Set(const std::string& host, const std::vector<std::string>& addresses) {
    absl::MutexLock lock(&mutex_);
    addresses_[host] = addresses;
  }
  int lookups() {
    absl::MutexLock lock(&mutex_);
    return lookups_;
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::vector<std::string>> addresses_;
  int lookups_ = 0;
};

// The whole client; its pauses take no time.
struct Client {
  explicit Client(RegistryNetworkOptions options = {}) : transport(std::move(options), &resolver) {}

  // The body, or the error.
  absl::StatusOr<std::string> Get(const std::string& reference, const std::string& path,
                                  const RegistryAccess& access = {},
                                  absl::Duration timeout = absl::Seconds(20)) {
    const absl::StatusOr<ImageReference> parsed = ParseImageReference(reference);
    if (!parsed.ok()) return parsed.status();
    std::string body;
    const absl::Status status = client.Get(*parsed, path, {}, access, NewCallContext(timeout),
                                           {.on_data = [&body](absl::string_view bytes) {
                                             body.append(bytes.data(), bytes.size());
                                             return absl::OkStatus();
                                           }});
    if (!status.ok()) return status;
    return body;
  }

  FakeClock clock{absl::Now()};
  FakeResolver resolver;
  RegistryTransport transport;
  TokenExchange tokens{&transport, &clock};
  TokenCache cache{&clock};
  RegistryClient client{&transport, &tokens, &cache, &clock};
};

RegistryAccess Alice(const std::string& realm = "") {
  return {.credentials = {.username = kAlice,
                          .secret = SecretString(absl::string_view(kSecret)),
                          .realm = realm},
          .credential_version = "1"};
}

std::string BearerChallenge(const std::string& realm, const std::string& more = "") {
  return absl::StrCat("WWW-Authenticate: Bearer realm=\"", realm, "\",service=\"s\"", more);
}

bool IsToken(const ScriptedRequest& request) { return absl::StartsWith(request.target, "/token"); }
void GiveToken(ScriptedReply& reply, const std::string& token = "short-lived") {
  reply.Answer(200, {"Content-Type: application/json"},
               absl::StrCat(R"({"token": ")", token, R"("})"));
}

// --- Where the secret may go

TEST(RegistryClientTest, ARealmOnAnotherHostGetsNothing) {
  ScriptedServer other([](const auto&, ScriptedReply& reply) { GiveToken(reply); }, kOtherHost);
  ScriptedServer registry([&other](const auto&, ScriptedReply& reply) {
    reply.Answer(401, {BearerChallenge(other.url() + "/token")}, "");
  });
  Client client;
  EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1", Alice()),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr(other.url()), HasSubstr("registry_auth"))));
  EXPECT_TRUE(other.requests().empty());
  EXPECT_FALSE(registry.Saw(kSecret, kAlice));
}

TEST(RegistryClientTest, AChangedRealmGetsNothingAndIsNamed) {
  ScriptedServer registry([&registry](const ScriptedRequest& request, ScriptedReply& reply) {
    if (IsToken(request)) return GiveToken(reply);
    reply.Answer(401, {BearerChallenge(registry.url() + "/token/moved")}, "");
  });
  Client client;
  const std::string pinned = registry.url() + "/token";
  EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1", Alice(pinned)),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr(pinned + "/moved"), HasSubstr("stored for " + pinned + " "),
                             HasSubstr("registry_auth"))));
  EXPECT_FALSE(registry.Saw(kSecret, kAlice));
}

TEST(RegistryClientTest, RealmsThatAreNoAddressesGetNothing) {
  for (const char* realm :
       {"http://user@127.0.0.1/token", "ftp://127.0.0.1/token", "/token", "http://127.0.0.1/#x",
        "http://127.0.0.1\\\\@127.0.0.2/token", "http://127.0.0.1 /token"}) {
    ScriptedServer registry([realm](const auto&, ScriptedReply& reply) {
      reply.Answer(401, {BearerChallenge(realm)}, "");
    });
    Client client;
    EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1", Alice()),
                StatusIs(absl::StatusCode::kPermissionDenied, testing::_))
        << realm;
    EXPECT_FALSE(registry.Saw(kSecret, kAlice));
  }
}

TEST(RegistryClientTest, ARedirectCarriesNoCredentials) {
  ScriptedServer blobs([](const auto&, ScriptedReply& reply) { reply.Answer(200, {}, "the blob"); },
                       kOtherHost);
  for (const int status : {301, 302, 303, 307, 308}) {
    ScriptedServer registry([&](const ScriptedRequest& request, ScriptedReply& reply) {
      if (request.Header("authorization").empty()) {
        return reply.Answer(401, {"WWW-Authenticate: Basic realm=\"r\""}, "");
      }
      reply.Answer(status, {"Location: " + blobs.url() + "/signed?x=1"}, "");
    });
    Client client;
    ASSERT_OK_AND_ASSIGN(const std::string blob,
                         client.Get(registry.host() + "/app", "blobs/sha256:1", Alice()));
    EXPECT_EQ(blob, "the blob");
    EXPECT_TRUE(registry.Saw(kSecret, kAlice)) << "by Basic, to the registry itself";
  }
  EXPECT_FALSE(blobs.Saw(kSecret, kAlice));
  for (const ScriptedRequest& request : blobs.requests()) {
    EXPECT_EQ(request.target, "/signed?x=1");
    EXPECT_EQ(request.Header("authorization"), "");
  }
}

TEST(RegistryClientTest, ARedirectCarriesNoTokenNorDoesATokenServerRedirectUs) {
  ScriptedServer other([](const auto&, ScriptedReply& reply) { GiveToken(reply, "stolen"); },
                       kOtherHost);
  for (const bool token_redirects : {false, true}) {
    ScriptedServer registry([&](const ScriptedRequest& request, ScriptedReply& reply) {
      const std::vector<std::string> to_other = {"Location: " + other.url() + "/x"};
      if (IsToken(request)) {
        return token_redirects ? reply.Answer(307, to_other, "") : GiveToken(reply);
      }
      if (request.Header("authorization").empty()) {
        return reply.Answer(401, {BearerChallenge(registry.url() + "/token")}, "");
      }
      reply.Answer(307, to_other, "");
    });
    Client client;
    const absl::StatusOr<std::string> got =
        client.Get(registry.host() + "/app", "blobs/sha256:1", Alice());
    if (token_redirects) {
      EXPECT_THAT(got, StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("never followed")));
    } else {
      EXPECT_OK(got);
    }
    EXPECT_FALSE(other.Saw(kSecret, kAlice));
    EXPECT_FALSE(other.Saw("short-lived"));
    EXPECT_EQ(other.requests().size(), 1u) << "the blob's redirect alone";
  }
}

TEST(RegistryClientTest, RedirectsEnd) {
  ScriptedServer registry([&registry](const auto&, ScriptedReply& reply) {
    reply.Answer(302, {"Location: /round"}, "");
  });
  Client client;
  EXPECT_THAT(client.Get(registry.host() + "/app", "blobs/sha256:1"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("redirects")));
  EXPECT_LE(registry.requests().size(), 8u);
}

TEST(RegistryClientTest, WhatItEchoesIsNotShown) {
  ScriptedServer registry([&registry](const ScriptedRequest& request, ScriptedReply& reply) {
    if (IsToken(request)) {
      if (absl::StrContains(request.body, "moody")) return GiveToken(reply);
      return reply.Answer(401, {}, absl::StrCat(R"({"details": ")", kSecret, R"("})"));
    }
    const std::string sent = request.Header("authorization");
    if (sent.empty()) {
      return reply.Answer(401, {BearerChallenge(registry.url() + "/token")}, "");
    }
    reply.Answer(403, {},
                 absl::StrCat(R"({"errors": [{"code": ")", kSecret, R"(", "message": ")", sent, " ",
                              kSecret, R"("}]})"));
  });
  Client client;
  EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1", Alice()),
              StatusIs(absl::StatusCode::kPermissionDenied, Not(HasSubstr(kSecret))));
  RegistryAccess moody = Alice();
  moody.credentials.username = "moody";
  moody.credential_version = "2";
  EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1", moody),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(Not(HasSubstr(kSecret)), Not(HasSubstr("short-lived")))));
}

// --- Which addresses are called

TEST(RegistryTransportTest, APublicNameThatLeadsInsideIsRefused) {
  ScriptedServer inside([](const auto&, ScriptedReply& reply) { reply.Answer(200, {}, "{}"); });
  Client client;
  const std::string registry = absl::StrCat("registry.example.com:", inside.port());
  for (const char* address :
       {"127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "::1", "fd00::1", "fe80::1",
        "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0", "100.64.0.1"}) {
    client.resolver.Set("registry.example.com", {address});
    EXPECT_THAT(client.Get(registry + "/app", "manifests/1", Alice()),
                StatusIs(absl::StatusCode::kPermissionDenied,
                         AllOf(HasSubstr(address), HasSubstr("--private-registry"))))
        << address;
  }
  EXPECT_TRUE(inside.requests().empty());
}

TEST(RegistryTransportTest, TheAddressThatWasJudgedIsTheOneThatIsDialled) {
  // No resolver of this machine knows registry.example.com: whoever looked it up again would fail.
  TestRegistry registry({.access = TestRegistryOptions::Access::kPassword, .tls = true});
  const std::string port = registry.host().substr(registry.host().find(':'));
  const std::string name = absl::StrCat("registry.example.com", port);
  Client client({.private_registries = {name}, .ca_file = registry.ca_file()});
  client.resolver.Set("registry.example.com", {"127.0.0.1"});
  RegistryAccess access = Alice();
  access.credentials.secret = SecretString(absl::string_view(kPassword));
  EXPECT_THAT(client.Get(name + "/app", "manifests/1", access),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("MANIFEST_UNKNOWN")));
  EXPECT_THAT(registry.Log(), HasSubstr(name)) << "the Host header is the name";

  // The name means another address a moment later (rebinding): it is judged again, and refused.
  const int before = client.resolver.lookups();
  client.resolver.Set("registry.example.com", {"169.254.169.254"});
  EXPECT_THAT(client.Get(name + "/app", "manifests/1", access),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("link-local")));
  EXPECT_GT(client.resolver.lookups(), before);

  // Nor does a kept connection to another name serve.
  client.resolver.Set("registry.example.com", {"127.0.0.2", "127.0.0.1"});
  EXPECT_THAT(client.Get(name + "/app", "manifests/1", access),
              StatusIs(absl::StatusCode::kNotFound, testing::_))
      << "the first address answers nothing, the second does";
}

TEST(RegistryTransportTest, RedirectsAndRealmsAreJudgedToo) {
  ScriptedServer registry([&registry](const ScriptedRequest& request, ScriptedReply& reply) {
    if (absl::StrContains(request.target, "blobs")) {
      return reply.Answer(307, {"Location: http://metadata.example/latest/"}, "");
    }
    reply.Answer(401, {BearerChallenge("http://metadata.example/token")}, "");
  });
  Client client({.insecure_registries = {absl::StrCat("registry.example.com:", registry.port())}});
  const std::string app = absl::StrCat("registry.example.com:", registry.port(), "/app");
  client.resolver.Set("registry.example.com", {"127.0.0.1"});
  client.resolver.Set("metadata.example", {"169.254.169.254"});
  for (const RegistryAccess& access : {RegistryAccess(), Alice("http://metadata.example/token")}) {
    for (const char* path : {"blobs/sha256:1", "manifests/1"}) {
      EXPECT_THAT(
          client.Get(app, path, access),
          StatusIs(absl::StatusCode::kPermissionDenied,
                   AllOf(HasSubstr("metadata.example leads to 169.254.169.254, a link-local"),
                         HasSubstr("registry.example.com"))));
    }
  }
}

TEST(RegistryTransportTest, WithoutTlsOnlyWhereThatWasDeclared) {
  ScriptedServer server([](const auto&, ScriptedReply& reply) { reply.Answer(200, {}, "{}"); });
  Client client;
  client.resolver.Set("registry.example.com", {"127.0.0.1"});
  EXPECT_THAT(client.transport.Exchange("registry.example.com", "http://registry.example.com/v2/",
                                        {}, NewCallContext(absl::Seconds(5)), {}),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("not https"), HasSubstr("--insecure-registry"))));
  EXPECT_EQ(client.resolver.lookups(), 0);
  EXPECT_TRUE(server.requests().empty());
}

// --- What never ends

TEST(RegistryClientTest, AnEndlessAnswerIsBrokenOff) {
  // "head": headers without end; "line": one header without end; "error": the text of an error;
  // "token": a token without end.
  for (const std::string kind : {"head", "line", "error", "token"}) {
    ScriptedServer registry(
        [&registry, kind](const ScriptedRequest& request, ScriptedReply& reply) {
          if (request.target == "/v2/" || (kind == "token" && !IsToken(request))) {
            return reply.Answer(401, {BearerChallenge(registry.url() + "/token")}, "");
          }
          if (IsToken(request) && kind != "token") return GiveToken(reply);
          reply.Send(kind == "error"   ? "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"
                     : kind == "token" ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       : "HTTP/1.1 200 OK\r\n");
          const std::string filling(64 * 1024, 'x');
          const std::string piece = kind == "head"
                                        ? absl::StrCat("X: ", filling.substr(0, 4000), "\r\n")
                                    : kind == "line" ? filling
                                                     : absl::StrCat("10000\r\n", filling, "\r\n");
          while (reply.Send(piece)) {
          }
        });
    Client client;
    const absl::StatusOr<std::string> got =
        client.Get(registry.host() + "/app", "manifests/1", Alice(), absl::Seconds(60));
    EXPECT_FALSE(got.ok()) << kind;
    EXPECT_NE(got.status().code(), absl::StatusCode::kDeadlineExceeded) << kind << got.status();
  }
}

TEST(RegistryClientTest, ASlowLorisIsWaitedForUntilTheDeadlineAndNotALittleLonger) {
  // One byte at a time, in the head, the body or the token's answer.
  for (const std::string kind : {"head", "body", "token"}) {
    ScriptedServer registry(
        [&registry, kind](const ScriptedRequest& request, ScriptedReply& reply) {
          if (kind == "token" && !IsToken(request)) {
            return reply.Answer(401, {BearerChallenge(registry.url() + "/token")}, "");
          }
          if (kind == "body") reply.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
          while (reply.Send("H") && reply.Pause(absl::Milliseconds(20))) {
          }
        });
    Client client;
    const absl::Time begin = absl::Now();
    EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1", Alice(), absl::Seconds(1)),
                StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_))
        << kind;
    EXPECT_LT(absl::Now() - begin, absl::Seconds(15)) << kind;
  }
}

// --- How tokens are come by

TEST(RegistryClientTest, ScopesAreUnitedWhenATokenIsNotEnough) {
  ScriptedServer registry([&registry](const ScriptedRequest& request, ScriptedReply& reply) {
    if (IsToken(request)) {
      return GiveToken(reply, absl::StrContains(request.body, "other") ? "both" : "one");
    }
    const std::string sent = request.Header("authorization");
    if (sent == "Bearer both") return reply.Answer(200, {}, "a manifest");
    if (sent == "Bearer one") {
      return reply.Answer(
          401,
          {BearerChallenge(registry.url() + "/token",
                           ",scope=\"repository:other:pull\",error=\"insufficient_scope\"")},
          "");
    }
    reply.Answer(
        401, {BearerChallenge(registry.url() + "/token", ",scope=\"repository:app:pull\"")}, "");
  });
  Client client;
  ASSERT_OK_AND_ASSIGN(const std::string got,
                       client.Get(registry.host() + "/app", "manifests/1", Alice()));
  EXPECT_EQ(got, "a manifest");
  std::vector<std::string> bodies;
  for (const ScriptedRequest& request : registry.requests()) {
    if (IsToken(request)) bodies.push_back(request.body);
  }
  ASSERT_EQ(bodies.size(), 2u);
  EXPECT_THAT(bodies[0], HasSubstr("scope=repository%3Aapp%3Apull&"));
  EXPECT_THAT(bodies[1], HasSubstr("scope=repository%3Aapp%3Apull%20repository%3Aother%3Apull&"));
}

TEST(RegistryClientTest, ATokenThatIsNeverEnoughEndsTheAsking) {
  ScriptedServer registry([&registry](const ScriptedRequest& request, ScriptedReply& reply) {
    if (IsToken(request)) return GiveToken(reply);
    static std::atomic<int> number = 0;
    reply.Answer(401,
                 {BearerChallenge(registry.url() + "/token",
                                  absl::StrCat(",error=\"insufficient_scope\",scope=\"repository:r",
                                               ++number, ":pull\""))},
                 "");
  });
  Client client;
  EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1", Alice()),
              StatusIs(absl::StatusCode::kPermissionDenied, testing::_));
  EXPECT_LE(registry.requests().size(), 8u);
}

TEST(TokenExchangeTest, ATokenLivesForAMinuteUnlessItsServerSaysOtherwise) {
  std::atomic<int> number = 0;
  static constexpr const char* kAnswers[] = {
      R"({"token": "t"})",
      R"({"access_token": "t", "expires_in": 300})",
      R"({"token": "t", "expires_in": 0})",
      R"({"token": "t", "expires_in": "soon"})",
      R"({"token": "t", "access_token": "u", "expires_in": 1e300})",
  };
  ScriptedServer issuer(
      [&number](const auto&, ScriptedReply& reply) { reply.Answer(200, {}, kAnswers[number++]); });
  Client client;
  for (const absl::Duration lifetime : {absl::Seconds(60), absl::Seconds(300), absl::Seconds(60),
                                        absl::Seconds(60), absl::Hours(12)}) {
    ASSERT_OK_AND_ASSIGN(const RegistryToken token,
                         client.tokens.Fetch({.registry = issuer.host(),
                                              .realm = issuer.url() + "/token",
                                              .service = "s",
                                              .scopes = {}},
                                             {}, NewCallContext(absl::Seconds(20))));
    EXPECT_EQ(token.value.view(), "t");
    EXPECT_EQ(token.expires_at - token.issued_at, lifetime);
  }
}

TEST(TokenExchangeTest, WhatIsNoTokenIsNotSentAnywhere) {
  for (const char* answer : {"", "no json", "[]", "{}", R"({"token": 7})", R"({"token": ""})",
                             R"({"token": "two\r\nX-Injected: lines"})"}) {
    ScriptedServer issuer(
        [answer](const auto&, ScriptedReply& reply) { reply.Answer(200, {}, answer); });
    Client client;
    EXPECT_THAT(client.tokens.Fetch({.registry = issuer.host(),
                                     .realm = issuer.url() + "/token",
                                     .service = "s",
                                     .scopes = {}},
                                    Alice().credentials, NewCallContext(absl::Seconds(20))),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no usable token")))
        << answer;
  }
}

TEST(RegistryClientTest, BusyServersAreAskedAgainAfterThePauseTheyWant) {
  std::atomic<int> busy_registry = 2;
  std::atomic<int> busy_issuer = 2;
  ScriptedServer registry([&](const ScriptedRequest& request, ScriptedReply& reply) {
    if (IsToken(request)) {
      if (busy_issuer-- > 0) return reply.Answer(429, {"Retry-After: 7"}, "");
      return GiveToken(reply);
    }
    if (request.Header("authorization").empty()) {
      return reply.Answer(401, {BearerChallenge(registry.url() + "/token")}, "");
    }
    if (busy_registry-- > 0) return reply.Answer(429, {}, "");
    reply.Answer(200, {}, "a manifest");
  });
  Client client;
  ASSERT_OK(client.Get(registry.host() + "/app", "manifests/1", Alice()));
  const std::vector<absl::Duration> sleeps = client.clock.sleeps();
  ASSERT_EQ(sleeps.size(), 4u);
  EXPECT_EQ(sleeps[0], absl::Seconds(7));
  EXPECT_EQ(sleeps[1], absl::Seconds(7));
  EXPECT_GT(sleeps[2], absl::ZeroDuration());  // the registry named no pause: ours, growing
  EXPECT_LE(sleeps[2], absl::Milliseconds(500));
  EXPECT_LE(sleeps[3], absl::Seconds(1));
}

TEST(RegistryClientTest, WhoAsksForAPauseLongerThanThereIsTimeIsNotWaitedFor) {
  ScriptedServer registry([](const auto&, ScriptedReply& reply) {
    reply.Answer(429, {"Retry-After: 3600"}, R"({"errors": [{"code": "TOOMANYREQUESTS"}]})");
  });
  Client client;
  EXPECT_THAT(client.Get(registry.host() + "/app", "manifests/1"),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("TOOMANYREQUESTS"), HasSubstr("use credentials"))));
  EXPECT_TRUE(client.clock.sleeps().empty());
}

TEST(RegistryClientTest, ManyAtOnceShareOneExchange) {
  TestRegistry registry({.access = TestRegistryOptions::Access::kToken});
  registry.Push("app:1", {BusyboxImage()});
  const size_t before = registry.issuer().requests().size();
  Client client;
  RegistryAccess access = Alice();
  access.credentials.secret = SecretString(absl::string_view(kPassword));
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      const absl::StatusOr<ImageReference> reference =
          ParseImageReference(registry.host() + "/app:1");
      EXPECT_OK(client.client.AuthorizePull(*reference, access, NewCallContext(absl::Seconds(30))));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(registry.issuer().requests().size(), before + 1);
}

}  // namespace
}  // namespace contree
