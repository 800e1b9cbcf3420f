#include "common/auth/keys_authenticator.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/sha256.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::Not;

class KeysAuthenticatorTest : public testing::Test {
 protected:
  std::string Write(const std::string& text) {
    EXPECT_OK(WritePrivateFile(temp_.File("keys"), text));
    return temp_.File("keys");
  }
  // The file is looked at twice a second.
  static bool Becomes(KeysAuthenticator& keys, const std::string& token, absl::StatusCode code) {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (absl::Now() < end) {
      if (keys.Authenticate(token).status().code() == code) return true;
      std::this_thread::yield();
    }
    return false;
  }

  TempDirectory temp_;
};

TEST_F(KeysAuthenticatorTest, AKeyIsWhoItsLineSays) {
  const std::string file =
      Write(absl::StrCat("# who may come in\n", Sha256Hex("alpha-key"), " alpha ci\n",
                         Sha256Hex("reader"), "\tbeta  dashboard contree:read # shown to all\r\n",
                         Sha256Hex("runner"), " beta bot contree:run contree:read\n\n"));
  ASSERT_OK_AND_ASSIGN(const auto keys, KeysAuthenticator::Open(file));
  EXPECT_EQ(*keys->Authenticate("alpha-key"),
            (Identity{.tenant = "alpha", .principal = "ci", .scopes = kAllScopes}));
  EXPECT_EQ(*keys->Authenticate("reader"),
            (Identity{.tenant = "beta", .principal = "dashboard", .scopes = {.read = true}}));
  EXPECT_EQ(*keys->Authenticate("runner"),
            (Identity{.tenant = "beta", .principal = "bot", .scopes = kAllScopes}));
}

TEST_F(KeysAuthenticatorTest, EverythingElseIsNobodyInTheSameWords) {
  ASSERT_OK_AND_ASSIGN(const auto keys,
                       KeysAuthenticator::Open(Write(absl::StrCat(Sha256Hex("key"), " t p"))));
  for (const std::string& token : {std::string(), std::string("kez"), Sha256Hex("key"),
                                   std::string("key "), std::string(1 << 20, 'a')}) {
    EXPECT_EQ(keys->Authenticate(token).status(), NotAuthenticated());
  }
}

TEST_F(KeysAuthenticatorTest, WhatCannotBeUsedIsNamedByItsLineAndNotShown) {
  const std::string good = Sha256Hex("key");
  for (const std::string& line :
       {std::string("my-secret-key tenant principal"), absl::StrCat(good, " tenant"),
        absl::StrCat(good, " ../etc p"), absl::StrCat(good, " .hidden p"),
        absl::StrCat(good, " t p contree:root"), absl::StrCat(good, " t p\n", good, " u q")}) {
    EXPECT_THAT(KeysAuthenticator::Open(Write("# one\n" + line)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         testing::AllOf(HasSubstr("line "), Not(HasSubstr("my-secret-key")),
                                        Not(HasSubstr("etc")))))
        << line;
  }
  EXPECT_THAT(KeysAuthenticator::Open(temp_.File("absent")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
}

TEST_F(KeysAuthenticatorTest, AChangedFileHoldsSoonAndABrokenOneDoesNot) {
  ASSERT_OK_AND_ASSIGN(const auto keys,
                       KeysAuthenticator::Open(Write(absl::StrCat(Sha256Hex("old"), " t p"))));
  Write(absl::StrCat(Sha256Hex("new"), " t p"));
  EXPECT_TRUE(Becomes(*keys, "new", absl::StatusCode::kOk));
  EXPECT_EQ(keys->Authenticate("old").status(), NotAuthenticated());
  Write("nonsense");
  Write(absl::StrCat(Sha256Hex("new"), " t p\n", Sha256Hex("newest"), " t p"));
  EXPECT_TRUE(Becomes(*keys, "newest", absl::StatusCode::kOk));
  EXPECT_OK(keys->Authenticate("new"));
}

TEST(BearerTokenTest, IsWhatStandsBehindTheScheme) {
  EXPECT_EQ(BearerTokenOf("Bearer abc"), "abc");
  EXPECT_EQ(BearerTokenOf("bearer  abc "), "abc");
  EXPECT_EQ(BearerTokenOf("Basic abc"), "");
  EXPECT_EQ(BearerTokenOf("Bearer"), "");
  EXPECT_EQ(BearerTokenOf(""), "");
}

TEST(TenantNameTest, CanBeAFile) {
  for (const char* name : {"a", "team-7", "A_b.c"}) EXPECT_TRUE(IsTenantName(name)) << name;
  for (const char* name : {"", ".", "..", ".a", "a/b", "a b", "a\n", "\xc3\xa4"}) {
    EXPECT_FALSE(IsTenantName(name)) << name;
  }
  EXPECT_FALSE(IsTenantName(std::string(129, 'a')));
}

}  // namespace
}  // namespace contree
