#include "gateway/transport/origin_policy.h"

#include "common/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using testing::HasSubstr;

TEST(OriginPolicyTest, LoopbackNamesAreAllowedWithAnyPort) {
  const OriginPolicy policy({});
  for (const std::string host :
       {"localhost", "LocalHost:9452", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80"}) {
    EXPECT_OK(policy.Check(host, std::nullopt)) << host;
    EXPECT_OK(policy.Check("localhost", "http://" + host)) << host;
    EXPECT_OK(policy.Check("localhost", "https://" + host)) << host;
  }
}

TEST(OriginPolicyTest, ForeignNamesAreRefusedEachHeaderByItself) {
  const OriginPolicy policy({});
  for (const std::string host :
       {"evil.example", "evil.example:9452", "localhost.evil.example", "127.0.0.1.evil.example",
        "evil.example@localhost", "localhost:80x", "localhost:", "[::1", "[::1]x", ""}) {
    EXPECT_THAT(policy.Check(host, std::nullopt),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("Host")))
        << host;
    EXPECT_THAT(policy.Check("localhost", "http://" + host),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("Origin")))
        << host;
  }
  EXPECT_FALSE(policy.Check(std::nullopt, std::nullopt).ok());
  EXPECT_FALSE(policy.Check("localhost", "null").ok());
  EXPECT_FALSE(policy.Check("localhost", "").ok());
  EXPECT_FALSE(policy.Check("localhost", "file://localhost").ok());
  EXPECT_FALSE(policy.Check("localhost", "http://localhost/path").ok());
}

TEST(OriginPolicyTest, NamesCanBeAdded) {
  const OriginPolicy policy({"MCP.example"});
  EXPECT_OK(policy.Check("mcp.example:443", "https://mcp.example"));
  EXPECT_OK(policy.Check("localhost", std::nullopt));
  EXPECT_FALSE(policy.Check("other.example", std::nullopt).ok());
}

}  // namespace
}  // namespace contree::gateway
