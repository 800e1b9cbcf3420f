#include "contree-service/credentials_directory.h"

#include <filesystem>

#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

CallContext Of(const std::string& tenant) {
  CallContext context;
  context.tenant = tenant;
  return context;
}

class CredentialsDirectoryTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    EXPECT_OK(WritePrivateFile(temp_.File(name), text));
  }
  std::unique_ptr<CredentialsDirectory> Open() {
    auto source = CredentialsDirectory::Open(temp_.path());
    EXPECT_OK(source);
    return source.ok() ? *std::move(source) : nullptr;
  }

  TempDirectory temp_;
};

TEST_F(CredentialsDirectoryTest, EachTenantHasItsOwn) {
  Write("alpha.json", R"({"url": "https://a.example", "token": "secret-a", "project": "p"})");
  Write("beta.json", R"({"url": "http://127.0.0.1:8080"})");
  Write("notes.txt", "not a tenant");
  const auto source = Open();
  ASSERT_OK_AND_ASSIGN(const ApiEndpoint alpha, source->EndpointFor(Of("alpha")));
  EXPECT_EQ(alpha.base_url, "https://a.example");
  EXPECT_EQ(alpha.token, "secret-a");
  EXPECT_EQ(alpha.project, "p");
  ASSERT_OK_AND_ASSIGN(const ApiEndpoint beta, source->EndpointFor(Of("beta")));
  EXPECT_EQ(beta.base_url, "http://127.0.0.1:8080");
  EXPECT_EQ(beta.token, "");
  for (const char* tenant : {"gamma", "local", "", "../alpha", "alpha.json", "notes", "Alpha"}) {
    EXPECT_THAT(source->EndpointFor(Of(tenant)),
                StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("--credentials-dir")))
        << tenant;
  }
}

TEST_F(CredentialsDirectoryTest, AChangeHoldsWithTheNextCall) {
  Write("alpha.json", R"({"url": "https://a.example", "token": "one"})");
  const auto source = Open();
  EXPECT_EQ(source->EndpointFor(Of("alpha"))->token, "one");
  Write("alpha.json", R"({"url": "https://a.example", "token": "two"})");
  EXPECT_EQ(source->EndpointFor(Of("alpha"))->token, "two");
  Write("beta.json", R"({"url": "https://b.example", "token": "b"})");
  EXPECT_EQ(source->EndpointFor(Of("beta"))->token, "b");
  Write("alpha.json", R"({"token": "sec)");
  EXPECT_THAT(source->EndpointFor(Of("alpha")),
              StatusIs(absl::StatusCode::kFailedPrecondition, Not(HasSubstr("sec"))));
  std::filesystem::remove(temp_.File("alpha.json"));
  EXPECT_THAT(source->EndpointFor(Of("alpha")),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("'alpha'")));
}

TEST_F(CredentialsDirectoryTest, WhatCannotBeUsedIsNamedAtTheStartAndNotShown) {
  for (const char* text :
       {"", "[]", R"({"token": "secret"})", R"({"url": "ftp://x", "token": "secret"})",
        R"({"url": "https://x.example", "token": 7})", R"({"url": "https://x.example"})",
        R"({"url": "https://x.example", "token": "secret\n"})"}) {
    Write("alpha.json", text);
    EXPECT_THAT(CredentialsDirectory::Open(temp_.path()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("alpha.json"), Not(HasSubstr("secret")))))
        << text;
  }
  Write("alpha.json", R"({"url": "https://x.example", "token": "t"})");
  EXPECT_OK(CredentialsDirectory::Open(temp_.path()));
  Write("no tenant.json", R"({"url": "https://x.example", "token": "t"})");
  EXPECT_THAT(CredentialsDirectory::Open(temp_.path()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no tenant.json")));
  EXPECT_THAT(CredentialsDirectory::Open(temp_.File("absent")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
}

}  // namespace
}  // namespace contree
