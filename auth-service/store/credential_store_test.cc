#include "auth-service/store/credential_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/files/state_directory.h"
#include "common/secret/key_ring.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kSecret[] = "dckr_pat_0123456789";

CredentialRecord Record(const std::string& registry, const std::string& secret = kSecret) {
  return {.registry = registry,
          .credentials = {.username = "alice",
                          .secret = SecretString(absl::string_view(secret)),
                          .realm = "https://auth.example/token"},
          .version = "v1",
          .stored_at = absl::FromUnixSeconds(1'700'000'000)};
}

class CredentialStoreTest : public testing::Test {
 protected:
  std::string key_file() const { return directory_.File("auth.key"); }
  std::string database() const { return directory_.File("auth.db"); }
  std::unique_ptr<CredentialStore> Open() {
    absl::StatusOr<KeyRing> keys = KeyRing::LoadOrMake(key_file());
    EXPECT_OK(keys);
    auto store = CredentialStore::Open(database(), *std::move(keys));
    EXPECT_OK(store);
    return *std::move(store);
  }
  const TempDirectory directory_;
};

TEST_F(CredentialStoreTest, KeepsThemForOneTenantAndRegistry) {
  const auto store = Open();
  ASSERT_OK(store->Put("local", Record("ghcr.io")));
  ASSERT_OK(store->Put("local", Record("docker.io", "older")));
  ASSERT_OK(store->Put("local", Record("docker.io", "newer")));
  ASSERT_OK_AND_ASSIGN(const auto found, store->Find("local", "docker.io"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->credentials.username, "alice");
  EXPECT_EQ(found->credentials.secret.view(), "newer");
  EXPECT_EQ(found->credentials.realm, "https://auth.example/token");
  EXPECT_EQ(found->version, "v1");
  EXPECT_EQ(found->stored_at, absl::FromUnixSeconds(1'700'000'000));
  ASSERT_OK_AND_ASSIGN(const auto other, store->Find("another tenant", "docker.io"));
  EXPECT_FALSE(other.has_value());
  ASSERT_OK_AND_ASSIGN(const auto listed, store->List("local"));
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0].registry, "docker.io");
  EXPECT_EQ(listed[0].credentials.username, "alice");
  EXPECT_TRUE(listed[0].credentials.secret.empty());
  ASSERT_OK_AND_ASSIGN(const bool deleted, store->Delete("local", "docker.io"));
  EXPECT_TRUE(deleted);
  ASSERT_OK_AND_ASSIGN(const bool again, store->Delete("local", "docker.io"));
  EXPECT_FALSE(again);
}

TEST_F(CredentialStoreTest, OutlivesTheProcessAndIsReadableToNobodyElse) {
  ASSERT_OK(Open()->Put("local", Record("ghcr.io")));
  ASSERT_OK_AND_ASSIGN(const auto found, Open()->Find("local", "ghcr.io"));
  EXPECT_EQ(found->credentials.secret.view(), kSecret);
  for (const std::string& path : {key_file(), database()}) {
    struct stat info = {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << path;
  }
  for (const char* suffix : {"", "-wal"}) {
    const auto content = ReadFile(absl::StrCat(database(), suffix), 1 << 24);
    if (!content.ok()) continue;
    EXPECT_THAT(*content, Not(HasSubstr(kSecret)));
    EXPECT_THAT(*content, Not(HasSubstr("alice")));
    EXPECT_THAT(*content, Not(HasSubstr("auth.example")));
  }
}

TEST_F(CredentialStoreTest, ARowOpensNowhereElse) {
  ASSERT_OK(Open()->Put("local", Record("ghcr.io")));
  {
    SQLite::Database raw(database(), SQLite::OPEN_READWRITE);
    raw.exec(
        "INSERT INTO credential SELECT 'mallory', registry, sealed, version, stored_at "
        "FROM credential");
    raw.exec(
        "INSERT INTO credential SELECT tenant, 'evil.example', sealed, version, stored_at "
        "FROM credential WHERE tenant = 'local'");
  }
  const auto store = Open();
  EXPECT_THAT(store->Find("mallory", "ghcr.io"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("belongs to somebody else")));
  EXPECT_THAT(store->Find("local", "evil.example"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("evil.example")));
  EXPECT_OK(store->Find("local", "ghcr.io"));
}

TEST_F(CredentialStoreTest, ARowThatWasChangedDoesNotOpen) {
  ASSERT_OK(Open()->Put("local", Record("ghcr.io")));
  SQLite::Database raw(database(), SQLite::OPEN_READWRITE);
  SQLite::Statement sealed(raw, "SELECT sealed FROM credential");
  ASSERT_TRUE(sealed.executeStep());
  std::string bytes = sealed.getColumn(0).getString();
  sealed.reset();
  bytes[bytes.size() / 2] ^= 1;
  SQLite::Statement change(raw, "UPDATE credential SET sealed = ?");
  change.bind(1, bytes.data(), static_cast<int>(bytes.size()));
  change.exec();
  EXPECT_THAT(Open()->Find("local", "ghcr.io"), StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

TEST_F(CredentialStoreTest, AKeyIsReplacedInTwoSteps) {
  ASSERT_OK(Open()->Put("local", Record("ghcr.io")));
  ASSERT_OK_AND_ASSIGN(const KeyRing first, KeyRing::Load(key_file(), true));
  ASSERT_OK_AND_ASSIGN(const KeyRing both, first.WithNewKey());
  ASSERT_OK(both.Save(key_file()));
  Open();  // seals again
  ASSERT_OK(both.WithFirstKeyOnly().Save(key_file()));
  ASSERT_OK_AND_ASSIGN(const auto found, Open()->Find("local", "ghcr.io"));
  EXPECT_EQ(found->credentials.secret.view(), kSecret);
  // The old key opens nothing any more; the message says what to do.
  ASSERT_OK(first.Save(key_file()));
  EXPECT_THAT(Open()->Find("local", "ghcr.io"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("put that key back")));
  ASSERT_OK_AND_ASSIGN(const auto listed, Open()->List("local"));
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].credentials.username, "");
}

TEST_F(CredentialStoreTest, KeyFilesAreChecked) {
  EXPECT_THAT(KeyRing::Load(key_file(), true), StatusIs(absl::StatusCode::kNotFound, testing::_));
  ASSERT_OK(WritePrivateFile(key_file(), "bm90IGEga2V5\n"));
  EXPECT_THAT(KeyRing::Load(key_file(), true),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       testing::AllOf(HasSubstr("line 1"), Not(HasSubstr("bm90")))));
  ASSERT_OK(WritePrivateFile(key_file(), "# nothing\n\n"));
  EXPECT_THAT(KeyRing::Load(key_file(), true),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("holds no key")));
  ASSERT_OK(WritePrivateFile(
      key_file(), absl::StrCat("# from a secret\n", absl::Base64Escape(std::string(32, 'k')))));
  EXPECT_OK(KeyRing::Load(key_file(), true));
  ASSERT_EQ(chmod(key_file().c_str(), 0644), 0);
  EXPECT_THAT(KeyRing::Load(key_file(), true),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("chmod 600")));
  EXPECT_OK(KeyRing::Load(key_file(), false));  // a mounted secret
}

TEST_F(CredentialStoreTest, TheSameSecretIsNeverSealedTheSameWay) {
  ASSERT_OK_AND_ASSIGN(const KeyRing keys, KeyRing::LoadOrMake(key_file()));
  ASSERT_OK_AND_ASSIGN(const std::string one, keys.Seal("x", "a"));
  ASSERT_OK_AND_ASSIGN(const std::string two, keys.Seal("x", "a"));
  EXPECT_NE(one, two);
  ASSERT_OK_AND_ASSIGN(const SecretString opened, keys.Open(one, "a"));
  EXPECT_EQ(opened.view(), "x");
  EXPECT_THAT(keys.Open(one, "b"), StatusIs(absl::StatusCode::kDataLoss, testing::_));
  EXPECT_THAT(keys.Open("", "a"), StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

}  // namespace
}  // namespace contree
