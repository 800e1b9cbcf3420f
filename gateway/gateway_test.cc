#include "gateway/gateway.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string>

#include "common/http/httplib_http_client.h"
#include "common/testing/status_matchers.h"
#include "gateway/testing/fake_backend.h"
#include "gtest/gtest.h"

namespace contree::gateway {
namespace {

using testing::HasSubstr;

constexpr char kGetImage[] =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_image",)"
    R"("arguments":{"image":"tag:busybox:latest"}}})";

TEST(GatewayTest, NeedsAChannel) {
  EXPECT_THAT(Gateway::Create({}, Workspace::OfUser()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("contree-service")));
}

TEST(GatewayTest, SpeaksStdioUntilTheInputEnds) {
  FakeBackend backend;
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Gateway> gateway,
      Gateway::Create({.contree_service = backend.channel()}, Workspace::OfUser()));
  std::array<int, 2> input = {-1, -1};
  std::array<int, 2> output = {-1, -1};
  ASSERT_EQ(pipe2(input.data(), O_CLOEXEC), 0);
  ASSERT_EQ(pipe2(output.data(), O_CLOEXEC), 0);
  const std::string request = std::string(kGetImage) + "\n";
  ASSERT_EQ(write(input[1], request.data(), request.size()), static_cast<ssize_t>(request.size()));
  close(input[1]);
  EXPECT_OK(gateway->RunStdio({.input_fd = input[0], .output_fd = output[1]}, std::stop_token()));
  close(output[1]);
  std::array<char, 4096> buffer;
  const ssize_t count = read(output[0], buffer.data(), buffer.size());
  ASSERT_GT(count, 0);
  EXPECT_THAT(std::string(buffer.data(), static_cast<size_t>(count)), HasSubstr(kBusyboxUuid));
  close(input[0]);
  close(output[0]);
}

TEST(GatewayTest, ServesHttpOnAFreePort) {
  FakeBackend backend;
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Gateway> gateway,
      Gateway::Create({.contree_service = backend.channel()}, Workspace::OfUser()));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<HttpEndpoint> endpoint,
                       gateway->ServeHttp({.port = 0}));
  EXPECT_GT(endpoint->port(), 0);
  EXPECT_EQ(endpoint->url(), "http://127.0.0.1:" + std::to_string(endpoint->port()) + "/mcp");
  HttplibHttpClientOptions options;
  options.base_url = "http://127.0.0.1:" + std::to_string(endpoint->port());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<HttplibHttpClient> client,
                       HttplibHttpClient::Create(options));
  HttpRequest request;
  request.method = "POST";
  request.target = "/mcp";
  request.body = kGetImage;
  request.content_type = "application/json";
  ASSERT_OK_AND_ASSIGN(const HttpResponse response,
                       SendHttp(*client, request, NewCallContext(absl::Seconds(20)), 100'000));
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr(kBusyboxUuid));
  endpoint->Stop();
  endpoint->Stop();  // once more does nothing
}

TEST(GatewayTest, ListensOnLoopbackOnly) {
  FakeBackend backend;
  ASSERT_OK_AND_ASSIGN(
      const std::unique_ptr<Gateway> gateway,
      Gateway::Create({.contree_service = backend.channel()}, Workspace::OfUser()));
  EXPECT_THAT(gateway->ServeHttp({.host = "0.0.0.0", .port = 0}),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("0.0.0.0")));
}

}  // namespace
}  // namespace contree::gateway
