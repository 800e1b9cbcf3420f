#include "auth-service/registry/token_page.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(TokenPageTest, KnowsWhereTokensAreMade) {
  EXPECT_THAT(TokenPageOf("docker.io").url, StartsWith("https://app.docker.com/"));
  EXPECT_THAT(TokenPageOf("ghcr.io").url, StartsWith("https://github.com/settings/tokens"));
  EXPECT_THAT(TokenPageOf("containers.github.example.com").url,
              StartsWith("https://github.example.com/settings/tokens"));
  EXPECT_THAT(TokenPageOf("containers.octo.ghe.com").url, StartsWith("https://octo.ghe.com/"));
  EXPECT_THAT(TokenPageOf("registry.gitlab.com").url, StartsWith("https://gitlab.com/-/"));
  EXPECT_THAT(TokenPageOf("registry.gitlab.example.org:5050").url,
              StartsWith("https://gitlab.example.org/-/"));
  EXPECT_THAT(TokenPageOf("quay.io").url, StartsWith("https://quay.io/"));
  EXPECT_THAT(TokenPageOf("europe-docker.pkg.dev").instruction, HasSubstr("_json_key"));
  EXPECT_THAT(TokenPageOf("eu.gcr.io").url, StartsWith("https://console.cloud.google.com/"));
  EXPECT_THAT(TokenPageOf("123456789012.dkr.ecr.eu-central-1.amazonaws.com").instruction,
              HasSubstr("--region eu-central-1."));
  EXPECT_THAT(TokenPageOf("myteam.azurecr.io").instruction, HasSubstr("--name myteam "));
}

TEST(TokenPageTest, SaysSoWhereItKnowsNone) {
  const TokenPage page = TokenPageOf("registry.example.com:5000");
  EXPECT_THAT(page.url, IsEmpty());
  EXPECT_THAT(page.instruction, HasSubstr("No page is known"));
  EXPECT_THAT(page.instruction, HasSubstr("registry.example.com:5000"));
  // A name that only looks like a known one at its beginning is another registry.
  EXPECT_THAT(TokenPageOf("ghcr.io.evil.example").url, IsEmpty());
  EXPECT_THAT(TokenPageOf("evil.example").url, IsEmpty());
}

}  // namespace
}  // namespace contree
