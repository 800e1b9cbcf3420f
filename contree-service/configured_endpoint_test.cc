#include "contree-service/configured_endpoint.h"

#include <fstream>

#include "common/testing/status_matchers.h"
#include "common/testing/temp_directory.h"

namespace contree {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ConfiguredEndpointTest, TheFileGoesBeforeTheEnvironment) {
  TempDirectory temp;
  std::ofstream(temp.File("token")) << " from-file\n";
  ASSERT_OK_AND_ASSIGN(
      ConfiguredEndpoint both,
      ConfiguredEndpoint::Create("https://x", "p", temp.File("token"), "from-environment"));
  ASSERT_OK_AND_ASSIGN(const ApiEndpoint endpoint, both.EndpointFor({}));
  EXPECT_EQ(endpoint.base_url, "https://x");
  EXPECT_EQ(endpoint.project, "p");
  EXPECT_EQ(endpoint.token, "from-file");
  ASSERT_OK_AND_ASSIGN(ConfiguredEndpoint one,
                       ConfiguredEndpoint::Create("https://x", "", "", "from-environment"));
  EXPECT_EQ(one.EndpointFor({})->token, "from-environment");
}

TEST(ConfiguredEndpointTest, OnlyAPlatformOnThisMachineNeedsNoToken) {
  EXPECT_OK(ConfiguredEndpoint::Create("http://127.0.0.1:8080", "", "", ""));
  EXPECT_OK(ConfiguredEndpoint::Create("http://localhost/prefix", "", "", ""));
  for (const char* url :
       {"https://contree.dev", "http://localhost.example.org", "http://127.0.0.1.example.org:80"}) {
    EXPECT_THAT(ConfiguredEndpoint::Create(url, "", "", ""),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("CONTREE_MCP_TOKEN")))
        << url;
  }
}

TEST(ConfiguredEndpointTest, RefusesATokenThatNoHeaderCarriesWithoutShowingIt) {
  EXPECT_THAT(ConfiguredEndpoint::Create("https://x", "", "", "sec\nret"),
              StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("sec"))));
  EXPECT_THAT(ConfiguredEndpoint::Create("https://x", "p q", "", "t"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("project")));
}

TEST(ConfiguredEndpointTest, IsForTheTenantOfADesk) {
  ASSERT_OK_AND_ASSIGN(ConfiguredEndpoint endpoint,
                       ConfiguredEndpoint::Create("https://x", "", "", "t"));
  CallContext context;
  context.tenant = "alpha";
  EXPECT_THAT(endpoint.EndpointFor(context),
              StatusIs(absl::StatusCode::kUnauthenticated, HasSubstr("--credentials-dir")));
}

TEST(ConfiguredEndpointTest, AMissingFileIsNamed) {
  EXPECT_THAT(ConfiguredEndpoint::Create("https://x", "", "/no/such/file", ""),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/no/such/file")));
}

}  // namespace
}  // namespace contree
