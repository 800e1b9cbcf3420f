#include "common/registry/reference.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Canonical(absl::string_view text) {
  const absl::StatusOr<ImageReference> reference = ParseImageReference(text);
  return reference.ok() ? reference->ToUrl() : reference.status().ToString();
}

const std::string& Sha256() {
  static const std::string* const digest = new std::string("sha256:" + std::string(64, 'a'));
  return *digest;
}

TEST(ReferenceTest, EveryFormHasOneCanonicalOne) {
  const std::vector<std::pair<std::string, std::string>> forms = {
      {"alpine", "docker://docker.io/library/alpine:latest"},
      {"docker://alpine", "docker://docker.io/library/alpine:latest"},
      {"library/alpine", "docker://docker.io/library/alpine:latest"},
      {"docker://docker.io/library/alpine:latest", "docker://docker.io/library/alpine:latest"},
      {"docker.io/alpine", "docker://docker.io/library/alpine:latest"},
      {"index.docker.io/alpine:3.20", "docker://docker.io/library/alpine:3.20"},
      {"registry-1.docker.io/user/app", "docker://docker.io/user/app:latest"},
      {"oci://alpine:3", "docker://docker.io/library/alpine:3"},
      {"OCI://ghcr.io/x/y", "docker://ghcr.io/x/y:latest"},
      {"ghcr.io/x/y", "docker://ghcr.io/x/y:latest"},
      {"GHCR.IO/x/y:V1", "docker://ghcr.io/x/y:V1"},
      {"https://ghcr.io/x/y", "docker://ghcr.io/x/y:latest"},
      {"quay.io:443/x/y", "docker://quay.io/x/y:latest"},
      {"localhost/x", "docker://localhost/x:latest"},
      {"localhost:5000/x", "docker://localhost:5000/x:latest"},
      {"127.0.0.1:5000/a/b/c/d:t", "docker://127.0.0.1:5000/a/b/c/d:t"},
      {"[::1]:5000/x", "docker://[::1]:5000/x:latest"},
      {"[0:0:0:0:0:0:0:1]/x", "docker://[::1]/x:latest"},
      {"registry.example.com:5000/team/my_app__x.y--z:1.0-rc_1",
       "docker://registry.example.com:5000/team/my_app__x.y--z:1.0-rc_1"},
      {"user/app@" + Sha256(), "docker://docker.io/user/app@" + Sha256()},
      {"ghcr.io/x/y:1@" + Sha256(), "docker://ghcr.io/x/y@" + Sha256()},
      {"x@sha512:" + std::string(128, '0'),
       "docker://docker.io/library/x@sha512:" + std::string(128, '0')},
      {"https://hub.docker.com/_/alpine", "docker://docker.io/library/alpine:latest"},
      {"https://hub.docker.com/r/user/app", "docker://docker.io/user/app:latest"},
      {"  alpine \n", "docker://docker.io/library/alpine:latest"},
  };
  for (const auto& [form, canonical] : forms) {
    EXPECT_EQ(Canonical(form), canonical) << form;
    EXPECT_EQ(Canonical(canonical), canonical);
  }
}

TEST(ReferenceTest, WhatIsNoReferenceIsRefusedWithAReason) {
  const std::vector<std::pair<std::string, std::string>> refused = {
      {"", "no image was named"},
      {"docker://", "is not an image reference"},
      {"ghcr.io/", "cannot be a part"},
      {"https://ghcr.io", "names a registry and no repository"},
      {"Alpine", "lower case"},
      {"ghcr.io/X/y", "try \"x/y\""},
      {"a b", "a space"},
      {"a\x01", "control character"},
      {"alp\xc3\xadne", "beyond ASCII"},
      {"ftp://x/y", "its scheme"},
      {"a//b", "cannot be a part"},
      {"a/../b", "cannot be a part"},
      {"-a", "cannot be a part"},
      {"a___b", "cannot be a part"},
      {"a..b/c", "not a registry's host"},
      {"x/a..b", "cannot be a part"},
      {"a:", "cannot be a tag"},
      {"a:-x", "cannot be a tag"},
      {"a:" + std::string(129, 'x'), "cannot be a tag"},
      {"a@sha256:" + std::string(63, 'a'), "64 lower-case"},
      {"a@sha256:" + std::string(64, 'A'), "64 lower-case"},
      {"a@md5:" + std::string(32, 'a'), "64 lower-case"},
      {"ghcr.io:0/x", "not a registry's host and port"},
      {"ghcr.io:65536/x", "not a registry's host and port"},
      {"ghcr.io:+1/x", "not a registry's host and port"},
      {"ghcr.io:/x", "not a registry's host and port"},
      {"[::1/x", "not a registry's host and port"},
      {"[::g]:5000/x", "not a registry's host and port"},
      {"[::1]5000/x", "not a registry's host and port"},
      {"-host.example/x", "not a registry's host and port"},
      {"https://user:secret@ghcr.io/x", "cannot hold credentials"},
      {absl::StrCat("a/", std::string(255, 'b')), "more than 255"},
      {std::string(5000, 'a'), "too long"},
  };
  for (const auto& [text, why] : refused) {
    EXPECT_THAT(ParseImageReference(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)))
        << text;
  }
  EXPECT_THAT(ParseImageReference("https://user:secret@ghcr.io/x").status().ToString(),
              testing::Not(HasSubstr("secret")));
}

TEST(ReferenceTest, ARegistryIsNamedByItsAddressOrByAReferenceIntoIt) {
  const std::vector<std::pair<std::string, std::string>> forms = {
      {"ghcr.io", "ghcr.io"},
      {"docker.io", "docker.io"},
      {"https://index.docker.io/v1/", "docker.io"},
      {"docker://ghcr.io/x/y:1", "ghcr.io"},
      {"localhost:5000", "localhost:5000"},
      {"localhost", "localhost"},
      {"http://localhost:5000/v2/", "localhost:5000"},
      {"https://registry", "registry"},
      {"[::1]:5000", "[::1]:5000"},
      {"registry.example.com:5000/", "registry.example.com:5000"},
      {"alpine", "docker.io"},
      {"python:3.11", "docker.io"},
      {"user/app", "docker.io"},
  };
  for (const auto& [form, registry] : forms) {
    ASSERT_OK_AND_ASSIGN(const std::string parsed, ParseRegistry(form));
    EXPECT_EQ(parsed, registry) << form;
  }
  EXPECT_THAT(ParseRegistry("exa_mple.com"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not a registry")));
  EXPECT_THAT(ParseRegistry("user:secret@ghcr.io/"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("credentials"), testing::Not(HasSubstr("secret")))));
}

TEST(ReferenceTest, ARegistryIsSplitIntoHostAndPort) {
  EXPECT_EQ(SplitRegistry("localhost:5000").host, "localhost");
  EXPECT_EQ(SplitRegistry("localhost:5000").port, 5000);
  EXPECT_EQ(SplitRegistry("[::1]:5000").host, "::1");
  EXPECT_EQ(SplitRegistry("[::1]:5000").port, 5000);
  EXPECT_EQ(SplitRegistry("ghcr.io").port, 0);
}

}  // namespace
}  // namespace contree
