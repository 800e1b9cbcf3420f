#include "common/server/listen_address.h"

#include "common/testing/status_matchers.h"

namespace contree {
namespace {

using testing::HasSubstr;

TEST(ListenAddressTest, ReadsNamesAndBothFamilies) {
  ASSERT_OK_AND_ASSIGN(ListenAddress address, ParseListenAddress("127.0.0.1:0"));
  EXPECT_EQ(address.host, "127.0.0.1");
  EXPECT_EQ(address.port, 0);
  ASSERT_OK_AND_ASSIGN(address, ParseListenAddress("[::1]:9452"));
  EXPECT_EQ(address.host, "::1");
  EXPECT_EQ(address.port, 9452);
  EXPECT_EQ(FormatAddress(address.host, address.port), "[::1]:9452");
  ASSERT_OK_AND_ASSIGN(address, ParseListenAddress("localhost:65535"));
  EXPECT_EQ(FormatAddress(address.host, address.port), "localhost:65535");
}

TEST(ListenAddressTest, RefusesWhatIsNoAddress) {
  for (const char* text :
       {"", "127.0.0.1", ":80", "::1:80", "[::1:80", "[]:80", "host:x", "host:-1", "host:65536"}) {
    EXPECT_THAT(ParseListenAddress(text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("HOST:PORT")))
        << text;
  }
}

TEST(ListenAddressTest, OnlyLoopbackWithoutAuthentication) {
  EXPECT_OK(RequireLoopback("127.0.0.1"));
  EXPECT_OK(RequireLoopback("127.8.9.10"));
  EXPECT_OK(RequireLoopback("::1"));
  EXPECT_OK(RequireLoopback("localhost"));
  for (const char* host :
       {"0.0.0.0", "::", "192.168.0.1", "example.org", "127.evil.example", "localhost.example"}) {
    EXPECT_THAT(RequireLoopback(host),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(host)))
        << host;
  }
}

}  // namespace
}  // namespace contree
