#include "common/http/base_url.h"

#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using ::testing::HasSubstr;

TEST(BaseUrlTest, TakesHostPortAndPrefixApart) {
  ASSERT_OK_AND_ASSIGN(const BaseUrl plain, ParseBaseUrl("http://example.org"));
  EXPECT_FALSE(plain.is_tls);
  EXPECT_EQ(plain.host, "example.org");
  EXPECT_EQ(plain.port, 80);
  EXPECT_EQ(plain.origin, "http://example.org");
  EXPECT_EQ(plain.prefix, "");
  ASSERT_OK_AND_ASSIGN(const BaseUrl prefixed, ParseBaseUrl("https://h:8443/sandboxes/x//"));
  EXPECT_TRUE(prefixed.is_tls);
  EXPECT_EQ(prefixed.host, "h");
  EXPECT_EQ(prefixed.port, 8443);
  EXPECT_EQ(prefixed.origin, "https://h:8443");
  EXPECT_EQ(prefixed.prefix, "/sandboxes/x");
  ASSERT_OK_AND_ASSIGN(const BaseUrl six, ParseBaseUrl("https://[::1]:7/"));
  EXPECT_EQ(six.host, "::1");
  EXPECT_EQ(six.port, 7);
  EXPECT_EQ(six.origin, "https://[::1]:7");
}

TEST(BaseUrlTest, RefusesWhatIsNone) {
  for (const char* url :
       {"", "example.org", "ftp://example.org", "http://", "http:///v1", "http://:80",
        "http://user:secret@example.org", "http://example.org/?a=b", "http://example.org:port",
        "http://example.org:0", "http://example.org:65536", "http://[::1", "http://a[::1]"}) {
    EXPECT_THAT(ParseBaseUrl(url),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is no base URL")))
        << url;
  }
}

}  // namespace
}  // namespace contree
