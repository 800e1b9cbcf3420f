#include "standalone/auth_ini.h"

#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree::standalone {
namespace {

using testing::HasSubstr;

const Profile kJwt = {.url = "https://contree.dev", .token = "abc.def", .project = ""};
const Profile kIam = {.url = "https://x.example", .token = "t", .project = "p-1"};

TEST(AuthIniTest, ANewFileHasTheProfileAndMakesItActive) {
  EXPECT_EQ(WithProfile("", "work", kIam).value(),
            "[DEFAULT]\nprofile = work\n\n[profile:work]\ntoken = t\nurl = "
            "https://x.example\ntype = iam\nproject = p-1\n");
}

TEST(AuthIniTest, OtherProfilesCommentsAndKeysStay) {
  EXPECT_EQ(WithProfile("# mine\n[DEFAULT]\nprofile = home\nlog = 1\n\n[profile:home]\n; "
                        "old\ntoken = \n  old\n  older\ntype=iam\nproject : p\nextra = "
                        "1\n[profile:other]\ntoken = o\n",
                        "home", kJwt)
                .value(),
            "# mine\n[DEFAULT]\nprofile = home\nlog = 1\n\n[profile:home]\nurl = "
            "https://contree.dev\n; old\ntoken = abc.def\ntype = jwt\nextra = "
            "1\n[profile:other]\ntoken = o\n");
}

TEST(AuthIniTest, WhatIsWrittenIsRead) {
  const TempDirectory directory;
  std::string text = "[profile:other]\ntoken = o\nurl = http://127.0.0.1:1\n";
  for (const auto& [name, profile] :
       {std::pair{"a", kJwt}, {"b", kIam}, {"a", kIam}, {"a", kJwt}}) {
    ASSERT_OK_AND_ASSIGN(text, WithProfile(text, name, profile));
    ASSERT_OK(WritePrivateFile(directory.File("auth.ini"), text));
    ASSERT_OK_AND_ASSIGN(const auto active,
                         ReadActiveProfile(directory.File("auth.ini"), std::nullopt));
    ASSERT_TRUE(active.has_value()) << text;
    EXPECT_EQ(active->token, profile.token);
    EXPECT_EQ(active->url, profile.url);
    EXPECT_EQ(active->project, profile.project);
    ASSERT_OK_AND_ASSIGN(const auto other, ReadActiveProfile(directory.File("auth.ini"), "other"));
    EXPECT_EQ(other->token, "o");
  }
  EXPECT_EQ(WithProfile(text, "a", kJwt).value(), text);
}

TEST(AuthIniTest, ALineOutsideOfSectionsIsNotGuessedAt) {
  EXPECT_THAT(WithProfile("; ok\n\ntoken = x\n", "a", kJwt),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("line 3 stands in no")));
}

TEST(AuthIniTest, TokensAndNamesAreLookedAtFirst) {
  for (const char* token : {"abc.DEF-1_~+/==", "a"}) EXPECT_TRUE(IsBearerToken(token)) << token;
  for (const char* token : {"", "==", "a b", "a\nurl = x", "a%b", "a;b", "ä", "a=b"}) {
    EXPECT_FALSE(IsBearerToken(token)) << token;
  }
  EXPECT_TRUE(IsProfileName("work-1.a_B"));
  for (const char* name : {"", "a]", "a b", "a\n"}) EXPECT_FALSE(IsProfileName(name)) << name;
}

}  // namespace
}  // namespace contree::standalone
