#include "common/registry/token_cache.h"

#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/testing/status_matchers.h"
#include "common/time/fake_clock.h"

namespace contree {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

class TokenCacheTest : public testing::Test {
 protected:
  RegistryToken Token(const std::string& value, absl::Duration life = absl::Seconds(60)) {
    return {.value = SecretString(absl::string_view(value)),
            .issued_at = clock_.Now(),
            .expires_at = clock_.Now() + life};
  }
  // "first", then "second" …: which fetch the token is of.
  std::string Get(const TokenKey& key = {.tenant = "t", .registry = "r"}) {
    const absl::StatusOr<SecretString> token =
        cache_.Get(key, context_, [this]() -> absl::StatusOr<RegistryToken> {
          if (!failure_.ok()) return failure_;
          return Token(absl::StrCat("token ", ++number_));
        });
    return token.ok() ? std::string(token->view()) : std::string(token.status().message());
  }

  FakeClock clock_{kStart};
  TokenCache cache_{&clock_};
  CallContext context_ = NewCallContext(absl::Seconds(30));
  absl::Status failure_;
  int number_ = 0;
};

TEST_F(TokenCacheTest, IsAskedOnceAndRenewedBeforeTheEnd) {
  EXPECT_EQ(Get(), "token 1");
  clock_.Sleep(absl::Seconds(47), {});
  EXPECT_EQ(Get(), "token 1");
  clock_.Sleep(absl::Seconds(1), {});  // a fifth of its life is left
  EXPECT_EQ(Get(), "token 2");
  EXPECT_EQ(Get(), "token 2");
  EXPECT_EQ(cache_.fetches(), 2);
}

TEST_F(TokenCacheTest, ARenewalThatFailsIsNoErrorWhileTheTokenLives) {
  EXPECT_EQ(Get(), "token 1");
  failure_ = absl::UnavailableError("the issuer is down");
  clock_.Sleep(absl::Seconds(50), {});
  EXPECT_EQ(Get(), "token 1");
  clock_.Sleep(absl::Seconds(6), {});  // too close to its end to be sent
  EXPECT_EQ(Get(), "the issuer is down");
}

TEST_F(TokenCacheTest, KeysAreTenantRegistryCredentialsAndScopes) {
  const std::vector<TokenKey> keys = {
      {.tenant = "t", .registry = "r", .credential_version = "1", .scopes = {"a"}},
      {.tenant = "u", .registry = "r", .credential_version = "1", .scopes = {"a"}},
      {.tenant = "t", .registry = "s", .credential_version = "1", .scopes = {"a"}},
      {.tenant = "t", .registry = "r", .credential_version = "2", .scopes = {"a"}},
      {.tenant = "t", .registry = "r", .credential_version = "1", .scopes = {"a", "b"}},
  };
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(Get(keys[i]), absl::StrCat("token ", i + 1));
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(Get(keys[i]), absl::StrCat("token ", i + 1));
  cache_.DropAll("t", "r");
  EXPECT_EQ(Get(keys[1]), "token 2") << "another tenant's";
  EXPECT_EQ(Get(keys[2]), "token 3") << "another registry's";
  EXPECT_EQ(Get(keys[0]), "token 6");
}

TEST_F(TokenCacheTest, OneFetchesTheOthersWait) {
  absl::Notification begun;
  absl::Notification go_on;
  const TokenKey key = {.tenant = "t", .registry = "r"};
  std::thread first([&] {
    EXPECT_OK(cache_.Get(key, context_, [&]() -> absl::StatusOr<RegistryToken> {
      begun.Notify();
      go_on.WaitForNotification();
      return Token("shared");
    }));
  });
  begun.WaitForNotification();
  std::vector<std::thread> others;
  for (int i = 0; i < 8; ++i) {
    others.emplace_back([&] { EXPECT_EQ(Get(key), "shared"); });
  }
  // One whose caller goes away does not wait for the others' fetch.
  std::stop_source stop;
  CallContext cancelled = context_;
  cancelled.stop = stop.get_token();
  std::thread impatient([&] {
    EXPECT_THAT(
        cache_.Get(key, cancelled, [&] { return absl::StatusOr<RegistryToken>(Token("x")); }),
        StatusIs(absl::StatusCode::kCancelled, testing::_));
  });
  stop.request_stop();
  impatient.join();
  CallContext late = context_;
  late.deadline = absl::InfinitePast();
  EXPECT_THAT(cache_.Get(key, late, [&] { return absl::StatusOr<RegistryToken>(Token("x")); }),
              StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
  go_on.Notify();
  first.join();
  for (std::thread& other : others) other.join();
  EXPECT_EQ(cache_.fetches(), 1);
}

TEST_F(TokenCacheTest, AFetchThatFailsIsTriedByTheNextWhoWaits) {
  absl::Notification begun;
  absl::Notification go_on;
  const TokenKey key = {.tenant = "t", .registry = "r"};
  std::thread first([&] {
    EXPECT_THAT(cache_.Get(key, context_,
                           [&]() -> absl::StatusOr<RegistryToken> {
                             begun.Notify();
                             go_on.WaitForNotification();
                             return absl::UnavailableError("down");
                           }),
                StatusIs(absl::StatusCode::kUnavailable, testing::_));
  });
  begun.WaitForNotification();
  std::thread second([&] { EXPECT_EQ(Get(key), "token 1"); });
  go_on.Notify();
  first.join();
  second.join();
}

TEST_F(TokenCacheTest, CredentialsThatWereReplacedMeanwhileLeaveNoToken) {
  const TokenKey key = {.tenant = "t", .registry = "r"};
  EXPECT_OK(cache_.Get(key, context_, [&]() -> absl::StatusOr<RegistryToken> {
    cache_.DropAll("t", "r");
    return Token("of the old ones");
  }));
  EXPECT_TRUE(cache_.Find(key).empty());
  EXPECT_EQ(Get(key), "token 1");
}

}  // namespace
}  // namespace contree
