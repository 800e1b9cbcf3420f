#include "local-backend/api/project_keys.h"

#include "absl/strings/str_cat.h"
#include "common/files/sha256.h"
#include "common/testing/status_matchers.h"
#include "common/uuid/uuid.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(ProjectKeysTest, TokensReachTheirProjects) {
  ProjectKeys keys;
  ASSERT_OK(keys.Load(absl::StrCat("# comment\n\n", Sha256Hex("one"), " alpha\n", Sha256Hex("two"),
                                   "\tbeta gamma # both\r\n")));
  ASSERT_OK_AND_ASSIGN(const ProjectKeys::Access one, keys.Find("one", ""));
  EXPECT_EQ(one.project, "alpha");
  EXPECT_TRUE(IsUuid(one.token_uuid)) << one.token_uuid;
  ASSERT_OK_AND_ASSIGN(const ProjectKeys::Access two, keys.Find("two", ""));
  EXPECT_EQ(two.project, "beta");
  EXPECT_NE(two.token_uuid, one.token_uuid);
  ASSERT_OK_AND_ASSIGN(const ProjectKeys::Access named, keys.Find("two", "gamma"));
  EXPECT_EQ(named.project, "gamma");
  EXPECT_EQ(named.token_uuid, two.token_uuid);
}

TEST(ProjectKeysTest, OthersAreRefused) {
  ProjectKeys keys;
  EXPECT_THAT(keys.Find("one", ""),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("token")));
  ASSERT_OK(keys.Load(absl::StrCat(Sha256Hex("one"), " alpha\n", Sha256Hex("two"), " beta\n")));
  EXPECT_THAT(keys.Find("One", ""),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("token")));
  EXPECT_THAT(keys.Find("", ""), StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("token")));
  // The answer does not tell a project that exists from one that does not.
  EXPECT_THAT(keys.Find("one", "beta"), StatusIs(absl::StatusCode::kPermissionDenied,
                                                 "this token does not reach the project \"beta\""));
  EXPECT_THAT(keys.Find("one", "none"), StatusIs(absl::StatusCode::kPermissionDenied,
                                                 "this token does not reach the project \"none\""));
}

TEST(ProjectKeysTest, WrongTextIsRefusedAndWhatWasBeforeStays) {
  ProjectKeys keys;
  ASSERT_OK(keys.Load(absl::StrCat(Sha256Hex("one"), " alpha")));
  const std::string other = Sha256Hex("two");
  for (const std::string& wrong :
       {std::string("plain-token alpha"), other, absl::StrCat(other, " al/pha"),
        absl::StrCat(other, " ", std::string(129, 'p')), absl::StrCat(other.substr(1), " alpha"),
        absl::StrCat(other, " a\n", other, " b")}) {
    EXPECT_THAT(keys.Load(absl::StrCat("\n", wrong)),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("line "), Not(HasSubstr("plain-token")))))
        << wrong;
  }
  EXPECT_OK(keys.Find("one", ""));
  ASSERT_OK(keys.Load(absl::StrCat(other, " beta")));
  EXPECT_FALSE(keys.Find("one", "").ok());
  EXPECT_OK(keys.Find("two", ""));
}

}  // namespace
}  // namespace contree
