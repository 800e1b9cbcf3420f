#include "common/auth/jwt_authenticator.h"

#include <httplib.h>

#include <nlohmann/json.hpp>
#include <stop_token>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/auth/testing/token_signer.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"
#include "common/time/fake_clock.h"

namespace contree {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr int64_t kNow = 1'800'000'000;
constexpr char kIssuer[] = "https://issuer.example";
constexpr char kAudience[] = "https://contree.example/mcp";

// Keys that a test exchanges.
class SetSource final : public JwkSource {
 public:
  explicit SetSource(const std::string& text) { Set(text); }
  void Set(const std::string& text) {
    absl::StatusOr<JwkSet> keys = ParseJsonWebKeys(text);
    EXPECT_OK(keys);
    keys_ = std::make_shared<const JwkSet>(*std::move(keys));
  }
  std::shared_ptr<const JwkSet> Keys() override { return keys_; }
  void AskForNewer() override { ++asked; }
  int asked = 0;

 private:
  std::shared_ptr<const JwkSet> keys_;
};

json Claims(const json& more = json::object()) {
  json claims = {{"iss", kIssuer},
                 {"aud", kAudience},
                 {"sub", "alice"},
                 {"tenant", "alpha"},
                 {"exp", kNow + 600},
                 {"nbf", kNow - 10},
                 {"scope", "openid contree:read contree:run"}};
  claims.update(more);
  return claims;
}

json Without(json claims, const char* name) {
  claims.erase(name);
  return claims;
}

class JwtAuthenticatorTest : public testing::Test {
 protected:
  JwtAuthenticatorTest() {
    auto source = std::make_unique<SetSource>(JwkSetText({&rsa_, &elliptic_, &edwards_}));
    source_ = source.get();
    authenticator_ = std::make_unique<JwtAuthenticator>(
        JwtOptions{.issuer = kIssuer, .audience = kAudience, .max_cached_tokens = 100},
        std::move(source), &clock_);
  }
  absl::StatusOr<Identity> Check(const std::string& token) {
    return authenticator_->Authenticate(token);
  }

  FakeClock clock_{absl::FromUnixSeconds(kNow)};
  const TokenSigner rsa_{"RS256", "r"};
  const TokenSigner elliptic_{"ES256", "e"};
  const TokenSigner edwards_{"EdDSA", "d"};
  SetSource* source_ = nullptr;
  std::unique_ptr<JwtAuthenticator> authenticator_;
};

TEST_F(JwtAuthenticatorTest, TakesEachAlgorithmFreshAndRemembered) {
  for (const TokenSigner* signer : {&rsa_, &elliptic_, &edwards_}) {
    const std::string token = signer->Sign(Claims());
    for (int i = 0; i < 2; ++i) {
      ASSERT_OK_AND_ASSIGN(const Identity identity, Check(token));
      EXPECT_EQ(identity,
                (Identity{.tenant = "alpha", .principal = "alice", .scopes = kAllScopes}));
    }
  }
}

TEST_F(JwtAuthenticatorTest, ScopesAreWhatTheTokenSaysAndWithoutAnyNone) {
  const auto scopes = [this](const json& claims) { return Check(rsa_.Sign(claims))->scopes; };
  EXPECT_EQ(scopes(Claims({{"scope", "contree:read"}})), (Scopes{.read = true}));
  EXPECT_EQ(scopes(Without(Claims({{"scp", {"contree:run", "x"}}}), "scope")),
            (Scopes{.run = true}));
  EXPECT_EQ(scopes(Without(Claims({{"scp", "contree:read contree:run"}}), "scope")), kAllScopes);
  EXPECT_EQ(scopes(Without(Claims(), "scope")), Scopes());
  EXPECT_EQ(scopes(Claims({{"scope", "contree:reading xcontree:read"}})), Scopes());
}

TEST_F(JwtAuthenticatorTest, RefusesWhatIsNotForUs) {
  const std::vector<json> wrong = {
      Claims({{"iss", "https://issuer.example/"}}),
      Without(Claims(), "iss"),
      Claims({{"aud", "https://other.example"}}),
      Claims({{"aud", json::array({"a", "b"})}}),
      Without(Claims(), "aud"),
      Without(Claims(), "exp"),
      Claims({{"exp", "soon"}}),
      Claims({{"exp", 1e300}}),
      Claims({{"nbf", "now"}}),
      Without(Claims(), "tenant"),
      Claims({{"tenant", 7}}),
      Claims({{"tenant", ""}}),
      Claims({{"tenant", "../beta"}}),
      Claims({{"sub", "a\nb"}}),
  };
  for (const json& claims : wrong) {
    EXPECT_EQ(Check(rsa_.Sign(claims)).status(), NotAuthenticated()) << claims;
  }
  EXPECT_OK(Check(rsa_.Sign(Claims({{"aud", json::array({"a", kAudience})}}))));
}

TEST_F(JwtAuthenticatorTest, TheAlgorithmIsTheKeys) {
  const json claims = Claims();
  for (const char* algorithm : {"none", "None", "HS256", "RS512", "PS256", "ES256", "EdDSA", ""}) {
    EXPECT_EQ(Check(rsa_.Sign({{"alg", algorithm}, {"kid", "r"}}, claims)).status(),
              NotAuthenticated())
        << algorithm;
  }
  // An unsigned one.
  const std::string unsigned_token =
      absl::StrCat(Base64Url(R"({"alg":"none","kid":"r"})"), ".", Base64Url(claims.dump()), ".");
  EXPECT_EQ(Check(unsigned_token).status(), NotAuthenticated());
  // What it does not understand but must.
  EXPECT_EQ(
      Check(rsa_.Sign({{"alg", "RS256"}, {"kid", "r"}, {"crit", {"b64"}}, {"b64", false}}, claims))
          .status(),
      NotAuthenticated());
  EXPECT_EQ(source_->asked, 0);
}

TEST_F(JwtAuthenticatorTest, RefusesWhatOthersSignedAndWhatWasChanged) {
  const TokenSigner stranger("RS256", "r");
  EXPECT_EQ(Check(stranger.Sign(Claims())).status(), NotAuthenticated());
  for (const TokenSigner* signer : {&rsa_, &elliptic_, &edwards_}) {
    const std::string token = signer->Sign(Claims());
    const std::vector<std::string> parts = absl::StrSplit(token, '.');
    const std::string other = Base64Url(Claims({{"tenant", "beta"}}).dump());
    for (const std::string& changed :
         {absl::StrCat(parts[0], ".", other, ".", parts[2]),
          absl::StrCat(parts[0], ".", parts[1], "."), absl::StrCat(parts[0], ".", parts[1]),
          absl::StrCat(token, ".x"), absl::StrCat(parts[0], ".", parts[1], ".", Base64Url("x")),
          absl::StrCat(parts[0], ".", parts[1], ".", Base64Url(std::string(64, '\0')))}) {
      EXPECT_EQ(Check(changed).status(), NotAuthenticated()) << changed;
    }
    EXPECT_OK(Check(token));
  }
  for (const char* rubbish : {"", ".", "..", "a.b.c", "e30.e30.e30", "W10.W10.W10"}) {
    EXPECT_EQ(Check(rubbish).status(), NotAuthenticated()) << rubbish;
  }
}

TEST_F(JwtAuthenticatorTest, TimesAreTakenWithAMinuteOfGrace) {
  EXPECT_OK(Check(rsa_.Sign(Claims({{"exp", kNow - 59}}))));
  EXPECT_EQ(Check(rsa_.Sign(Claims({{"exp", kNow - 61}}))).status(), NotAuthenticated());
  EXPECT_OK(Check(rsa_.Sign(Claims({{"nbf", kNow + 59}}))));
  EXPECT_EQ(Check(rsa_.Sign(Claims({{"nbf", kNow + 61}}))).status(), NotAuthenticated());
}

TEST_F(JwtAuthenticatorTest, ARememberedTokenEndsWithItsTime) {
  const std::string token = rsa_.Sign(Claims({{"exp", kNow + 10}}));
  EXPECT_OK(Check(token));
  clock_.Sleep(absl::Seconds(69), std::stop_token());
  EXPECT_OK(Check(token));
  clock_.Sleep(absl::Seconds(1), std::stop_token());
  EXPECT_EQ(Check(token).status(), NotAuthenticated());
}

TEST_F(JwtAuthenticatorTest, ARememberedTokenEndsWithItsKey) {
  const std::string token = rsa_.Sign(Claims());
  EXPECT_OK(Check(token));
  source_->Set(JwkSetText({&elliptic_}));
  EXPECT_EQ(Check(token).status(), NotAuthenticated());
  EXPECT_OK(Check(elliptic_.Sign(Claims())));
}

TEST_F(JwtAuthenticatorTest, AnUnknownKeyIsAskedForAndAWrongSignatureIsNot) {
  const TokenSigner next("ES256", "next");
  const std::string token = next.Sign(Claims());
  EXPECT_EQ(Check(token).status(), NotAuthenticated());
  EXPECT_EQ(source_->asked, 1);
  source_->Set(JwkSetText({&elliptic_, &next}));
  EXPECT_OK(Check(token));
  EXPECT_EQ(source_->asked, 1);
}

TEST_F(JwtAuthenticatorTest, WithoutAKeyIdTheOnlyKeyOfTheAlgorithmCounts) {
  EXPECT_OK(Check(rsa_.Sign({{"alg", "RS256"}}, Claims())));
  const TokenSigner second("RS256", "r2");
  source_->Set(JwkSetText({&rsa_, &second}));
  EXPECT_EQ(Check(rsa_.Sign({{"alg", "RS256"}}, Claims())).status(), NotAuthenticated());
}

TEST_F(JwtAuthenticatorTest, MoreTokensThanItRemembersStillHold) {
  std::string first;
  for (int i = 0; i < 250; ++i) {
    const std::string token = edwards_.Sign(Claims({{"jti", i}}));
    if (i == 0) first = token;
    EXPECT_OK(Check(token));
  }
  EXPECT_OK(Check(first));
}

TEST(JsonWebKeyTest, LeavesOutWhatIsWeakOrForSomethingElse) {
  const TokenSigner weak("RS256", "weak", 1024);
  const TokenSigner good("ES256", "good");
  json encrypts = good.PublicJwk();
  encrypts["use"] = "enc";
  json off_the_curve = good.PublicJwk();
  off_the_curve["y"] = off_the_curve["x"];
  json other_algorithm = good.PublicJwk();
  other_algorithm["alg"] = "ES384";
  const json symmetric = {{"kty", "oct"}, {"k", "c2VjcmV0"}};
  for (const json& key : {weak.PublicJwk(), encrypts, off_the_curve, other_algorithm, symmetric,
                          json(7), json::object()}) {
    EXPECT_THAT(ParseJsonWebKeys(json{{"keys", {key}}}.dump()),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("RS256")))
        << key;
    ASSERT_OK_AND_ASSIGN(const JwkSet both,
                         ParseJsonWebKeys(json{{"keys", {key, good.PublicJwk()}}}.dump()));
    EXPECT_EQ(both.size(), 1u);
  }
  for (const char* text : {"", "[]", "{}", R"({"keys":{}})", "{"}) {
    EXPECT_THAT(ParseJsonWebKeys(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("it ")))
        << text;
  }
}

// A token issuer's address for its keys.
class KeyServer {
 public:
  explicit KeyServer(std::string content) : content_(std::move(content)) {
    server_.set_keep_alive_max_count(1);
    server_.Get("/keys", [this](const httplib::Request&, httplib::Response& response) {
      const absl::MutexLock lock(&mutex_);
      ++fetches_;
      response.status = status_;
      response.set_content(content_, "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~KeyServer() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/keys"); }
  void Set(const std::string& content, int status = 200) {
    const absl::MutexLock lock(&mutex_);
    content_ = content;
    status_ = status;
  }
  int fetches() {
    const absl::MutexLock lock(&mutex_);
    return fetches_;
  }

 private:
  absl::Mutex mutex_;
  std::string content_;
  int status_ = 200;
  int fetches_ = 0;
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

template <typename Condition>
bool Soon(Condition condition) {
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    if (absl::Now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(JwkUrlTest, FetchesAnewForAnUnknownKeyButNotOften) {
  FakeClock clock(absl::FromUnixSeconds(kNow));
  const TokenSigner one("ES256", "one");
  const TokenSigner two("EdDSA", "two");
  KeyServer server(JwkSetText({&one}));
  JwkUrlOptions options;
  options.url = server.url();
  ASSERT_OK_AND_ASSIGN(auto opened, JwkUrl::Open(options, &clock));
  JwkUrl& url = *opened;
  JwtAuthenticator authenticator({.issuer = kIssuer, .audience = kAudience}, std::move(opened),
                                 &clock);
  EXPECT_OK(authenticator.Authenticate(one.Sign(Claims())));
  EXPECT_EQ(server.fetches(), 1);

  server.Set(JwkSetText({&two}));
  const std::string token = two.Sign(Claims());
  EXPECT_FALSE(authenticator.Authenticate(token).ok());
  EXPECT_TRUE(Soon([&] { return authenticator.Authenticate(token).ok(); }));
  EXPECT_EQ(server.fetches(), 2);

  // A stranger's key: asked for once in half a minute, however often it comes.
  const TokenSigner stranger("ES256", "stranger");
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(authenticator.Authenticate(stranger.Sign(Claims({{"jti", i}}))).ok());
  }
  EXPECT_EQ(server.fetches(), 2);
  clock.Sleep(absl::Seconds(30), std::stop_token());
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(authenticator.Authenticate(stranger.Sign(Claims({{"jti", i}}))).ok());
  }
  EXPECT_TRUE(Soon([&] { return server.fetches() == 3; }));
  EXPECT_EQ(url.Keys()->size(), 1u);
}

TEST(JwkUrlTest, IsFetchedAgainByItselfAndKeepsWhatItHasWhileThatFails) {
  RealClock clock;
  const TokenSigner one("ES256", "one");
  const TokenSigner two("ES256", "two");
  KeyServer server(JwkSetText({&one}));
  JwkUrlOptions options;
  options.url = server.url();
  options.refresh_every = absl::Milliseconds(10);
  ASSERT_OK_AND_ASSIGN(const auto url, JwkUrl::Open(options, &clock));
  server.Set(JwkSetText({&two}));
  EXPECT_TRUE(Soon([&] { return url->Keys()->front().id() == "two"; }));
  server.Set("", 500);
  const int before = server.fetches();
  EXPECT_TRUE(Soon([&] { return server.fetches() > before; }));
  EXPECT_EQ(url->Keys()->front().id(), "two");
}

TEST(JwkUrlTest, OnlyLoopbackMayDoWithoutTls) {
  RealClock clock;
  JwkUrlOptions options;
  options.url = "http://issuer.example/keys";
  EXPECT_THAT(JwkUrl::Open(options, &clock),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("https")));
}

TEST(JwkFileTest, IsReadAgainWhenItChanges) {
  TempDirectory temp;
  const TokenSigner one("ES256", "one");
  const TokenSigner two("ES256", "two");
  ASSERT_OK(WritePrivateFile(temp.File("jwks"), JwkSetText({&one})));
  ASSERT_OK_AND_ASSIGN(const auto file, JwkFile::Open(temp.File("jwks")));
  EXPECT_EQ(file->Keys()->front().id(), "one");
  ASSERT_OK(WritePrivateFile(temp.File("jwks"), JwkSetText({&two})));
  EXPECT_TRUE(Soon([&] { return file->Keys()->front().id() == "two"; }));
}

// "Auth adds under 50 µs to a call": what a token that was seen before costs.
TEST_F(JwtAuthenticatorTest, ARememberedTokenCostsMicroseconds) {
  const std::string token = rsa_.Sign(Claims({{"padding", std::string(1000, 'x')}}));
  ASSERT_OK(Check(token));
  constexpr int kRounds = 20'000;
  const absl::Time begin = absl::Now();
  for (int i = 0; i < kRounds; ++i) ASSERT_TRUE(authenticator_->Authenticate(token).ok());
  const double micros = absl::ToDoubleMicroseconds(absl::Now() - begin) / kRounds;
  std::cout << "a remembered token of " << token.size() << " bytes: " << micros << " us\n";
  EXPECT_LT(micros, 50);
}

}  // namespace
}  // namespace contree
