#include "auth-service/registry/docker_config.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "auth-service/registry/credential_helper.h"
#include "common/files/state_directory.h"
#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::Not;

class DockerConfigTest : public testing::Test {
 protected:
  DockerConfigTest() {
    setenv("PATH", absl::StrCat(directory_.path(), ":/usr/bin:/bin").c_str(), 1);
    sources_.docker_config = directory_.File("config.json");
  }
  void Config(const std::string& text) {
    ASSERT_OK(WritePrivateFile(sources_.docker_config, text));
  }
  void Helper(const std::string& name, const std::string& script) {
    const std::string path = directory_.File("docker-credential-" + name);
    ASSERT_OK(WritePrivateFile(path, absl::StrCat("#!/bin/sh\n", script)));
    ASSERT_EQ(chmod(path.c_str(), 0700), 0);
  }
  // "user:secret from source"
  std::string Find(const std::string& registry) {
    const auto found = FindForeignCredentials(sources_, registry);
    if (!found.has_value()) return "none";
    return absl::StrCat(found->credentials.username, ":", found->credentials.secret.view(),
                        " from ", std::filesystem::path(found->source).filename().string());
  }

  const TempDirectory directory_;
  ForeignSources sources_;
};

TEST_F(DockerConfigTest, ReadsAuthsByHostHoweverItIsWritten) {
  Config(R"({"auths": {
    "https://index.docker.io/v1/": {"auth": "YWxpY2U6c2VjOnJldA=="},
    "ghcr.io": {"username": "bob", "password": "pw"},
    "https://registry.example.com:5000": {"auth": "eDp5"},
    "quay.io": {"identitytoken": "idt"},
    "empty.example": {}
  }})");
  EXPECT_EQ(Find("docker.io"), "alice:sec:ret from config.json");
  EXPECT_EQ(Find("ghcr.io"), "bob:pw from config.json");
  EXPECT_EQ(Find("registry.example.com:5000"), "x:y from config.json");
  EXPECT_EQ(Find("quay.io"), "<token>:idt from config.json");
  EXPECT_EQ(Find("empty.example"), "none");
  EXPECT_EQ(Find("registry.example.com"), "none");
  EXPECT_EQ(Find("evil-ghcr.io"), "none");
  const auto listed = ListForeignCredentials(sources_);
  ASSERT_EQ(listed.size(), 4u);
  for (const ForeignCredentials& entry : listed) EXPECT_TRUE(entry.credentials.secret.empty());
}

TEST_F(DockerConfigTest, AsksHelpersByTheirProtocol) {
  Helper("one", R"sh(
[ "$1" = get ] || exit 2
read -r server
echo "{\"ServerURL\":\"$server\",\"Username\":\"for-$server\",\"Secret\":\"s1\"}")sh");
  Helper("all", R"sh(
read -r server
case "$server" in
  none.example) echo "credentials not found in native keychain"; exit 1;;
  *) echo "{\"Username\":\"all-$server\",\"Secret\":\"s2\"}";;
esac)sh");
  Config(R"({"auths": {"first.example": {"auth": "YTpi"}},
             "credHelpers": {"first.example": "one", "second.example": "one"},
             "credsStore": "all"})");
  EXPECT_EQ(Find("first.example"), "a:b from config.json");
  EXPECT_EQ(Find("second.example"),
            "for-second.example:s1 from config.json (docker-credential-one)");
  EXPECT_EQ(Find("third.example"), "all-third.example:s2 from config.json (docker-credential-all)");
  EXPECT_EQ(Find("docker.io"),
            "all-https://index.docker.io/v1/:s2 from config.json (docker-credential-all)");
  EXPECT_EQ(Find("none.example"), "none");
}

TEST_F(DockerConfigTest, AHelperThatDoesNotWorkIsPassedOver) {
  Helper("bad", "echo 'the secret is hunter2'; echo 'locked' >&2; exit 1");
  Helper("slow", "sleep 600");
  Helper("noise", "echo not json");
  EXPECT_THAT(AskCredentialHelper("bad", "x", absl::Seconds(20)),
              StatusIs(absl::StatusCode::kUnavailable,
                       testing::AllOf(HasSubstr("locked"), Not(HasSubstr("hunter2")))));
  EXPECT_THAT(AskCredentialHelper("slow", "x", absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("was ended")));
  EXPECT_THAT(AskCredentialHelper("noise", "x", absl::Seconds(20)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("Username and Secret")));
  EXPECT_THAT(AskCredentialHelper("not-there", "x", absl::Seconds(20)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("docker-credential-not-there")));
  EXPECT_THAT(AskCredentialHelper("../../bin/sh", "x", absl::Seconds(20)),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  Config(R"({"credsStore": "bad"})");
  EXPECT_EQ(Find("ghcr.io"), "none");
}

TEST_F(DockerConfigTest, PullSecretsComeLastAndInOrder) {
  const std::string secrets = directory_.File("secrets");
  for (const char* name : {"/a", "/b", "/..data"}) {
    std::filesystem::create_directories(secrets + name);
  }
  const auto auth = [](const std::string& user) {
    return absl::StrCat(R"({"auths": {"ghcr.io": {"username": ")", user,
                        R"(", "password": "k8s"}}})");
  };
  ASSERT_OK(WritePrivateFile(secrets + "/a/.dockerconfigjson", auth("a")));
  ASSERT_OK(WritePrivateFile(secrets + "/b/.dockerconfigjson", auth("b")));
  sources_.pull_secrets = {secrets};
  EXPECT_EQ(Find("ghcr.io"), "a:k8s from .dockerconfigjson");
  sources_.pull_secrets = {secrets + "/b/.dockerconfigjson", secrets};
  EXPECT_EQ(Find("ghcr.io"), "b:k8s from .dockerconfigjson");
  Config(R"({"auths": {"ghcr.io": {"auth": "YWxpY2U6c2VjOnJldA=="}}})");
  EXPECT_EQ(Find("ghcr.io"), "alice:sec:ret from config.json");
}

TEST_F(DockerConfigTest, WhatIsNotThereOrDamagedIsNothing) {
  EXPECT_EQ(Find("ghcr.io"), "none");
  Config("not json");
  EXPECT_EQ(Find("ghcr.io"), "none");
  Config(R"({"auths": [1], "credHelpers": {"ghcr.io": 7}, "credsStore": {}})");
  EXPECT_EQ(Find("ghcr.io"), "none");
  sources_ = {};
  EXPECT_EQ(Find("ghcr.io"), "none");
}

}  // namespace
}  // namespace contree
